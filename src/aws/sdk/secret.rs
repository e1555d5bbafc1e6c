//! What is in the Secrets of OIDC clients: read when it is sent, and kept nowhere.

use std::collections::BTreeMap;

use super::{Result, Sdk};
use crate::{
    aws::ClientSource,
    model::{
        call::{CallError, Effect},
        client::ClientCredentials,
        elb::RuleAction,
        group::SecretRef,
    },
};

/// The clients of one request.
pub(super) type Clients = BTreeMap<SecretRef, ClientCredentials>;

/// Where no cluster is at hand: nobody signs in then, and a plan is never carried out.
pub(super) struct NoClients;

#[async_trait::async_trait]
impl ClientSource for NoClients {
    async fn client(&self, secret: &SecretRef) -> Result<ClientCredentials> {
        Err(CallError {
            service: "kubernetes".to_owned(),
            operation: "get Secret".to_owned(),
            code: Some("NotFound".to_owned()),
            status: None,
            message: format!("there is no cluster to read Secret {secret} from"),
            request_id: None,
            effect: Effect::None,
        })
    }
}

impl Sdk {
    /// Reads what these actions sign in with.
    pub(super) async fn clients(&self, actions: &[RuleAction]) -> Result<Clients> {
        let mut clients = Clients::new();
        for action in actions {
            if let RuleAction::AuthenticateOidc {
                client: Some(client),
                ..
            } = action
            {
                let secret = &client.secret;
                clients.insert(secret.clone(), self.clients.client(secret).await?);
            }
        }
        Ok(clients)
    }
}
