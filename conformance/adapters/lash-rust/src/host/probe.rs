//! The kit's probe of a turn's phases.

use lash::runtime::{RuntimeTurnPhase, RuntimeTurnPhaseProbe};

use super::stage::Stage;

pub struct Probe(pub Stage);

impl RuntimeTurnPhaseProbe for Probe {
    fn begin(&self, phase: RuntimeTurnPhase) {
        let name = format!("{phase:?}");
        self.0.note(format!("probe {name}"));
        if let Some(gate) = self.0.awaited(&format!("probe {name}")) {
            gate.reached.cancel();
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(gate.opened.cancelled()));
        }
    }

    fn end(&self, _: RuntimeTurnPhase) {}
}
