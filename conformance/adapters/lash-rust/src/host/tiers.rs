//! lash's stores under the durability that the judge's description names.

use std::sync::Arc;

use lash::persistence::{
    AttachmentStore, InMemoryProcessExecutionEnvStore, ProcessExecutionEnvStore, StoredBlobRef,
};
use lash_core::{
    AttachmentCreateMeta, AttachmentId, AttachmentRef, AttachmentStoreError, AttachmentStorePersistence, DurabilityTier, PluginError,
    ProcessExecutionEnvRef, StoredAttachment,
};

pub struct Attachments(pub Arc<dyn AttachmentStore>, pub bool);

#[async_trait::async_trait]
impl AttachmentStore for Attachments {
    fn persistence(&self) -> AttachmentStorePersistence {
        if self.1 { AttachmentStorePersistence::Durable } else { AttachmentStorePersistence::Ephemeral }
    }
    async fn put(&self, bytes: Vec<u8>, meta: AttachmentCreateMeta) -> Result<AttachmentRef, AttachmentStoreError> {
        self.0.put(bytes, meta).await
    }
    async fn get(&self, id: &AttachmentId) -> Result<StoredAttachment, AttachmentStoreError> {
        self.0.get(id).await
    }
    async fn delete(&self, id: &AttachmentId) -> Result<(), AttachmentStoreError> {
        self.0.delete(id).await
    }
    async fn list(&self) -> Result<Vec<StoredBlobRef>, AttachmentStoreError> {
        self.0.list().await
    }
    async fn head(&self, id: &AttachmentId) -> Result<Option<StoredBlobRef>, AttachmentStoreError> {
        self.0.head(id).await
    }
}

pub struct Environments(pub InMemoryProcessExecutionEnvStore, pub bool);

#[async_trait::async_trait]
impl ProcessExecutionEnvStore for Environments {
    fn durability_tier(&self) -> DurabilityTier {
        if self.1 { DurabilityTier::Durable } else { DurabilityTier::Inline }
    }
    async fn put_process_execution_env(&self, env: &ProcessExecutionEnvRef, bytes: &[u8]) -> Result<(), PluginError> {
        self.0.put_process_execution_env(env, bytes).await
    }
    async fn get_process_execution_env(&self, env: &ProcessExecutionEnvRef) -> Result<Option<Vec<u8>>, PluginError> {
        self.0.get_process_execution_env(env).await
    }
}
