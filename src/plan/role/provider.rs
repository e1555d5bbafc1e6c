//! The cluster's OIDC provider (irsa §9.4 step 1).

use std::collections::BTreeSet;

use crate::{
    id::{OpId, ResourceId, StackId},
    model::{applied::ResourceUpdate, digest::digest},
    plan::{
        diff::{self, difference},
        draft::{Draft, because, code, reason},
        op::Action,
    },
};

/// What the roles may rely on.
pub(super) enum Provider {
    Stands,
    Comes(BTreeSet<OpId>),
    Missing(String),
}

/// The provider is completed, never changed otherwise and never deleted.
pub(super) fn provider(draft: &mut Draft<'_>) -> Provider {
    let inputs = draft.inputs;
    let stack = StackId::Provider;
    let (Some(desired), true) = (&inputs.desired.provider, draft.in_scope(&stack)) else {
        return Provider::Stands;
    };
    if draft.block_on_waiting(&stack) || draft.block_on_gap(&stack) {
        return Provider::Missing("the OIDC provider could not be read".to_owned());
    }
    let Some(observed) = &inputs.observed.provider else {
        return Provider::Stands;
    };
    let spec = &desired.spec;
    let id = ResourceId::provider();
    let digest = digest(spec);
    let first = draft.ops.len();
    let missing: Vec<&String> = match &observed.provider {
        Some(live) => spec.client_ids.difference(&live.client_ids).collect(),
        None => Vec::new(),
    };
    if !spec.ensure && (observed.provider.is_none() || !missing.is_empty()) {
        let message = match &observed.provider {
            None => format!("IAM has no OIDC provider for {}", spec.url),
            Some(_) => format!(
                "the OIDC provider {} lacks the audience {}",
                spec.arn,
                diff::joined(missing)
            ),
        };
        let release = "create it, or allow albsync to in its configuration";
        draft.block(&stack, code::PROVIDER_MISSING, message.clone(), release);
        return Provider::Missing(message);
    }
    match &observed.provider {
        None => {
            let cause = draft.cause(&id, &digest, false);
            let action = Action::CreateOidcProvider {
                id: id.clone(),
                spec: spec.clone(),
            };
            draft.create(&id, action, reason(cause, None), []);
        }
        Some(live) => {
            let cause = draft.cause(&id, &digest, true);
            for client_id in missing {
                let difference = difference("audience", None, client_id.clone());
                let action = Action::AddClientId {
                    provider: live.arn.clone(),
                    client_id: client_id.clone(),
                };
                draft.op(&id, action, because(cause, None, vec![difference]), []);
            }
        }
    }
    let update = ResourceUpdate {
        arn: Some(spec.arn.clone()),
        digest: Some(digest),
        ..ResourceUpdate::default()
    };
    draft.note_resource(&id, first, update);
    let ops = draft.since(first);
    if ops.is_empty() {
        Provider::Stands
    } else {
        Provider::Comes(ops)
    }
}
