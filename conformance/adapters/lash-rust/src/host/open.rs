//! Opening a session of lash as the judge describes it.

use lash::persistence::{LeaseOwnerIdentity, RuntimeSessionState, SessionStoreCreateRequest, SessionStoreFactory};
use lash::{PromptLayerSink, SessionBuilder, SessionSpec};
use lash_core::SessionSnapshot;

use super::core::{Core, model_of, watched};
use super::plugins::{Bound, BoundOptional, Own, factory};
use super::refusals;
use super::session::Session;
use super::spec::{How, OpenSpec, Store};
use crate::wire::Fault;

pub async fn session(core: &Core, session_id: &str, spec: OpenSpec) -> Result<Session, Fault> {
    if let Some(mode) = spec.mode.as_deref().filter(|mode| *mode != "standard") {
        let fields = serde_json::json!({"mode": mode});
        return Err(Fault::refused("ModeNotInstalled", fields, format!("this core has no mode {mode}")));
    }
    let mut builder = core.lash.session(session_id).session_spec(described(core, &spec)?);
    if let Some(prompt) = &spec.prompt {
        *builder.prompt_layer_mut() = serde_json::from_value(prompt.clone()).map_err(refusals::invalid)?;
    }
    if let Some(parent) = &spec.parent {
        builder = builder.parent(parent.as_str());
    }
    for (id, options) in &spec.plugin_options {
        builder = builder.plugin_option(id.as_str(), options)?;
    }
    let owner = spec.owner.as_deref().unwrap_or(&core.spec.owner);
    let incarnation = format!("{}#{}", std::process::id(), core.fresh());
    builder = bound(core, &spec, builder.session_execution_owner(LeaseOwnerIdentity::opaque(owner, incarnation)));
    if spec.store == Store::Other {
        builder = builder.store(other(core, session_id).await?);
    }
    let opened = match spec.how {
        How::Open => builder.open().await?,
        How::Fresh => builder.open_fresh().await?,
        How::State => {
            let snapshot: SessionSnapshot = serde_json::from_value(spec.state.unwrap_or_default()).map_err(refusals::invalid)?;
            builder.open_with_state(RuntimeSessionState::from_snapshot(snapshot)).await?
        }
    };
    Ok(Session::new(opened))
}

fn described(core: &Core, spec: &OpenSpec) -> Result<SessionSpec, Fault> {
    let mut own = SessionSpec::inherit();
    if let Some(provider) = &spec.provider {
        own = own.provider_id(provider.as_str());
    }
    if let Some(model) = &spec.model {
        own = own.model(model_of(model, core.spec.context_window)?);
    }
    if let Some(most) = spec.max_turns {
        own = own.max_turns(most);
    }
    Ok(own)
}

fn bound(core: &Core, spec: &OpenSpec, mut builder: SessionBuilder) -> SessionBuilder {
    for id in &spec.plugins {
        let made = factory(id, &core.stage, &core.spec.options, &core.shelf);
        builder = match id.as_str() {
            "bound" => builder.plugin::<Bound>(made),
            "bound_optional" => builder.plugin::<BoundOptional>(made),
            _ => builder.plugin::<Own>(made),
        };
    }
    builder
}

async fn other(core: &Core, session_id: &str) -> Result<std::sync::Arc<dyn lash_core::RuntimePersistence>, Fault> {
    let request = SessionStoreCreateRequest {
        session_id: session_id.to_owned(),
        relation: Default::default(),
        policy: Default::default(),
    };
    watched(&core.spec, &core.other, &core.line).create_store(&request).await.map_err(Fault::backend)
}
