//! Certificates that clients show: what a member asks of its ports, trust stores found by name (ingress-model §4.4).

use std::collections::BTreeMap;

use super::{
    MutualAuthentication,
    build::Built,
    context::{Input, MemberInput, Refused, Report},
};
use crate::{
    manifest::annotation::{
        Setting,
        options::{self, MutualMode},
    },
    problem::{Problem, codes, nearest::did_you_mean},
};

#[cfg(test)]
mod tests;

/// What one member says, by port; also of ports that it does not listen on, whose trust stores must exist all the same.
///
/// # Errors
/// An entry that is none, or a trust store that does not exist.
pub fn of_member(
    input: &Input<'_>,
    member: MemberInput<'_>,
    report: &Report<'_>,
) -> Built<BTreeMap<u16, MutualAuthentication>> {
    let setting = member.options().listener.mutual_authentication.as_ref();
    let (Some(setting), Some(entries)) = (setting, report.ask(setting)?) else {
        return Ok(BTreeMap::new());
    };
    let mut resolved = BTreeMap::new();
    let mut result = Ok(());
    for (port, entry) in entries {
        match resolve(input, member, setting, entry, report) {
            Ok(entry) => {
                resolved.insert(*port, entry);
            }
            Err(Refused) => result = Err(Refused),
        }
    }
    result.map(|()| resolved)
}

fn resolve<T>(
    input: &Input<'_>,
    member: MemberInput<'_>,
    setting: &Setting<T>,
    entry: &options::MutualAuthentication,
    report: &Report<'_>,
) -> Built<MutualAuthentication> {
    let is_verify = entry.mode == MutualMode::Verify;
    let trust_store_arn = match &entry.trust_store {
        Some(name) if is_verify && !name.starts_with("arn:") => {
            trust_store(input, member, setting, name, report)?
        }
        Some(arn) => arn.clone(),
        None => String::new(),
    };
    Ok(MutualAuthentication {
        mode: entry.mode,
        trust_store_arn,
        ignore_client_certificate_expiry: entry
            .ignore_client_certificate_expiry
            .or(is_verify.then_some(false)),
        advertise_trust_store_ca_names: entry.advertise_trust_store_ca_names.clone(),
    })
}

fn trust_store<T>(
    input: &Input<'_>,
    member: MemberInput<'_>,
    setting: &Setting<T>,
    name: &str,
    report: &Report<'_>,
) -> Built<String> {
    let Some(stores) = input.trust_stores() else {
        let what = format!("the trust store \"{name}\"");
        return report.missing_fact(&setting.origin, &member.object(), &what);
    };
    if let Some(store) = stores.iter().find(|store| store.name == name) {
        return Ok(store.arn.clone());
    }
    let mut problem = Problem::new(
        codes::TRUST_STORE,
        setting.origin.clone(),
        format!("mutual-authentication names the trust store \"{name}\", which does not exist"),
    )
    .of(member.object());
    problem.hint = did_you_mean(name, stores.iter().map(|store| store.name.as_str()));
    report.refuse(problem)
}
