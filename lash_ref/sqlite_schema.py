"""The tables of the SQLite store: a record as JSON text, beside the columns that queries need."""

SCHEMA_VERSION = 1
"""Kept in ``PRAGMA user_version``; a file of another version is refused and left as it is."""

SCHEMA = """
-- one row a session that ever committed: SessionHeadMeta
CREATE TABLE heads (session_id TEXT PRIMARY KEY, record TEXT NOT NULL);
-- the graph; position gives the stored order, hidden marks tombstones
CREATE TABLE nodes (
    position INTEGER PRIMARY KEY, session_id TEXT NOT NULL, node_id TEXT NOT NULL, parent_id TEXT,
    hidden INTEGER NOT NULL DEFAULT 0, record TEXT NOT NULL, UNIQUE (session_id, node_id)
);
CREATE INDEX hidden_nodes ON nodes (session_id) WHERE hidden;
-- checkpoint manifests and their parts, by SHA-256
CREATE TABLE blobs (ref TEXT PRIMARY KEY, data BLOB NOT NULL);
-- token usage summed by source and model: TokenLedgerEntry; position gives the first-seen order
CREATE TABLE ledger (
    position INTEGER PRIMARY KEY, session_id TEXT NOT NULL, source TEXT NOT NULL, model TEXT NOT NULL,
    record TEXT NOT NULL, UNIQUE (session_id, source, model)
);
-- committed turns: StampRow
CREATE TABLE stamps (
    session_id TEXT NOT NULL, turn_id TEXT NOT NULL, committed_at_ms INTEGER NOT NULL,
    record TEXT NOT NULL, PRIMARY KEY (session_id, turn_id)
);
CREATE INDEX stamps_by_time ON stamps (session_id, committed_at_ms);
-- SessionMeta
CREATE TABLE metas (session_id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
-- the lane of each session, kept after release with its number; the liveness column says whose it is
CREATE TABLE leases (
    session_id TEXT PRIMARY KEY, liveness TEXT NOT NULL, record TEXT NOT NULL
) WITHOUT ROWID;
-- numbers handed out once
CREATE TABLE sequences (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
-- queued work: BatchRow
CREATE TABLE batches (
    enqueue_seq INTEGER PRIMARY KEY, session_id TEXT NOT NULL, batch_id TEXT NOT NULL,
    source_key TEXT, record TEXT NOT NULL,
    UNIQUE (session_id, batch_id), UNIQUE (session_id, source_key)
);
-- pending turn input, terminal rows included: InputRow
CREATE TABLE inputs (
    enqueue_seq INTEGER PRIMARY KEY, session_id TEXT NOT NULL, input_id TEXT NOT NULL,
    source_key TEXT, state TEXT NOT NULL, record TEXT NOT NULL,
    UNIQUE (session_id, input_id), UNIQUE (session_id, source_key)
);
CREATE INDEX waiting_inputs ON inputs (session_id, enqueue_seq)
    WHERE state IN ('pending_active', 'deferred_next_turn');
CREATE INDEX terminal_inputs ON inputs (session_id) WHERE state IN ('cancelled', 'completed');
-- attachment references: AttachmentManifestEntry
CREATE TABLE intents (
    session_id TEXT NOT NULL, attachment_id TEXT NOT NULL, intent_at_ms INTEGER NOT NULL,
    committed INTEGER NOT NULL, turn_id TEXT, record TEXT NOT NULL,
    PRIMARY KEY (session_id, attachment_id)
) WITHOUT ROWID;
CREATE INDEX intents_by_id ON intents (attachment_id);
CREATE INDEX uncommitted_intents ON intents (intent_at_ms, session_id, attachment_id)
    WHERE NOT committed;
CREATE INDEX intents_by_turn ON intents (session_id, turn_id) WHERE NOT committed;
"""
