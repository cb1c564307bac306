"""The tables of the PostgreSQL store: a record as JSON text, beside the columns that queries need.

Records are TEXT, because JSONB refuses U+0000 and does not keep text as given. Key columns sort by bytes and
hold at most 71 of them: a longer id is kept as its SHA-256 (`lash_ref.postgres_rows.key`), because an index
entry may not be longer than a third of a page, and the record holds the id itself.
"""

SCHEMA_VERSION = 1
"""Kept in the table ``schema_version``; a schema of another version is refused and left as it is."""

SCHEMA = """
-- one row, in a schema that is complete
CREATE TABLE schema_version (version integer NOT NULL);
-- one row a session that ever committed: SessionHeadMeta
CREATE TABLE heads (session_id text COLLATE "C" PRIMARY KEY, record text NOT NULL);
-- the graph; position gives the stored order, hidden marks tombstones
CREATE TABLE nodes (
    position bigint GENERATED ALWAYS AS IDENTITY, session_id text COLLATE "C" NOT NULL,
    node_id text COLLATE "C" NOT NULL, parent_id text COLLATE "C", hidden boolean NOT NULL DEFAULT FALSE,
    record text NOT NULL, PRIMARY KEY (session_id, node_id)
);
CREATE INDEX nodes_in_order ON nodes (session_id, position) WHERE NOT hidden;
CREATE INDEX hidden_nodes ON nodes (session_id) WHERE hidden;
-- checkpoint manifests and their parts, by SHA-256
CREATE TABLE blobs (ref text COLLATE "C" PRIMARY KEY, data bytea NOT NULL);
-- token usage summed by source and model: TokenLedgerEntry; position gives the first-seen order
CREATE TABLE ledger (
    position bigint GENERATED ALWAYS AS IDENTITY, session_id text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL, model text COLLATE "C" NOT NULL, record text NOT NULL,
    PRIMARY KEY (session_id, source, model)
);
-- committed turns: StampRow
CREATE TABLE stamps (
    session_id text COLLATE "C" NOT NULL, turn_id text COLLATE "C" NOT NULL, committed_at_ms bigint NOT NULL,
    record text NOT NULL, PRIMARY KEY (session_id, turn_id)
);
CREATE INDEX stamps_by_time ON stamps (session_id, committed_at_ms);
-- SessionMeta
CREATE TABLE metas (session_id text COLLATE "C" PRIMARY KEY, record text NOT NULL);
-- the lane of each session, kept after release with its number; the liveness column says whose it is
CREATE TABLE leases (session_id text COLLATE "C" PRIMARY KEY, liveness text NOT NULL, record text NOT NULL);
-- numbers handed out once; a rolled-back unit leaves a gap
CREATE SEQUENCE enqueued;
-- queued work: BatchRow
CREATE TABLE batches (
    enqueue_seq bigint PRIMARY KEY, session_id text COLLATE "C" NOT NULL, batch_id text COLLATE "C" NOT NULL,
    source_key text COLLATE "C", record text NOT NULL,
    UNIQUE (session_id, batch_id), UNIQUE (session_id, source_key)
);
-- pending turn input, terminal rows included: InputRow
CREATE TABLE inputs (
    enqueue_seq bigint PRIMARY KEY, session_id text COLLATE "C" NOT NULL, input_id text COLLATE "C" NOT NULL,
    source_key text COLLATE "C", state text NOT NULL, record text NOT NULL,
    UNIQUE (session_id, input_id), UNIQUE (session_id, source_key)
);
CREATE INDEX waiting_inputs ON inputs (session_id, enqueue_seq)
    WHERE state IN ('pending_active', 'deferred_next_turn');
CREATE INDEX terminal_inputs ON inputs (session_id) WHERE state IN ('cancelled', 'completed');
-- attachment references: AttachmentManifestEntry
CREATE TABLE intents (
    session_id text COLLATE "C" NOT NULL, attachment_id text COLLATE "C" NOT NULL,
    intent_at_ms bigint NOT NULL, committed boolean NOT NULL, turn_id text COLLATE "C", record text NOT NULL,
    PRIMARY KEY (session_id, attachment_id)
);
CREATE INDEX intents_by_id ON intents (attachment_id);
CREATE INDEX uncommitted_intents ON intents (intent_at_ms) WHERE NOT committed;
CREATE INDEX intents_by_turn ON intents (session_id, turn_id) WHERE NOT committed;
-- attachment bytes, by SHA-256
CREATE TABLE attachments (
    attachment_id text COLLATE "C" PRIMARY KEY, modified_ms bigint NOT NULL, data bytea NOT NULL
);
"""

TABLES = frozenset(
    (
        "schema_version", "heads", "nodes", "blobs", "ledger", "stamps", "metas", "leases", "batches", "inputs",
        "intents", "attachments",
    )
)  # fmt: skip
"""What a complete schema holds."""
