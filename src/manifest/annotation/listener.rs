//! `listen-ports` and `mutual-authentication` (ingress-model.md §4.1, §4.4, §15.3).

use std::collections::BTreeMap;

use super::{
    decode::structure,
    limit,
    options::{ListenPort, MutualAuthentication, MutualMode},
    read::{Notes, Read, Reading},
    value::Protocol,
};

/// `[{"HTTP": 80}, {"HTTPS": 443}]`.
pub(super) fn listen_ports(it: &mut Reading<'_>) -> Read<Vec<ListenPort>> {
    it.json(|entries: Vec<BTreeMap<String, i32>>, notes| {
        if entries.is_empty() {
            return Err("it is a list of at least one object, as [{\"HTTP\":80}]".to_owned());
        }
        let mut ports: Vec<ListenPort> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            for (protocol, number) in entry {
                let port = port(*number).ok_or_else(|| {
                    format!("[{index}].{protocol} is a port from 1 to 65535, not {number}")
                })?;
                let protocol = Protocol::from_word(protocol)
                    .ok_or_else(|| format!("[{index}] names HTTP or HTTPS, not \"{protocol}\""))?;
                if ports.iter().any(|other| other.port == port) {
                    let hint = "the later one counts; keep one of them".to_owned();
                    notes.push((format!("lists port {port} twice"), Some(hint)));
                }
                ports.push(ListenPort { port, protocol });
            }
        }
        if ports.is_empty() {
            let hint = "name a port, as [{\"HTTP\":80}]".to_owned();
            notes.push(("lists no port, so nothing listens".to_owned(), Some(hint)));
        }
        Ok(ports)
    })
}

/// The API's range of ports.
fn port(number: i32) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port > 0)
}

structure!(Entry {
    port: i32 = "port",
    mode: String = "mode",
    trust_store: Option<String> = "trustStore",
    ignore_client_certificate_expiry: Option<bool> = "ignoreClientCertificateExpiry",
    advertise_trust_store_ca_names: Option<String> = "advertiseTrustStoreCaNames",
});

/// `[{"port": 443, "mode": "verify", "trustStore": "…"}]`.
pub(super) fn mutual_authentication(
    it: &mut Reading<'_>,
) -> Read<BTreeMap<u16, MutualAuthentication>> {
    let setting = it.json(|entries: Vec<Entry>, notes| {
        if entries.is_empty() {
            return Err("it is a list of at least one object".to_owned());
        }
        let mut by_port = BTreeMap::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let port = port(entry.port).ok_or_else(|| {
                format!(
                    "[{index}].port is a port from 1 to 65535, not {}",
                    entry.port
                )
            })?;
            if by_port.contains_key(&port) {
                twice(port, notes);
            }
            by_port.insert(port, checked(index, entry)?);
        }
        Ok(by_port)
    });
    it.limited(setting, limit::mutual_authentication)
}

fn twice(port: u16, notes: &mut Notes) {
    notes.push((
        format!("has two entries for port {port}"),
        Some("the later one counts; keep one of them".to_owned()),
    ));
}

fn checked(index: usize, entry: Entry) -> Result<MutualAuthentication, String> {
    let mode = match entry.mode.as_str() {
        "off" => MutualMode::Off,
        "passthrough" => MutualMode::Passthrough,
        "verify" => MutualMode::Verify,
        other => {
            return Err(format!(
                "[{index}].mode is off, passthrough or verify, not \"{other}\""
            ));
        }
    };
    // An empty trust store is none to LBC; an empty word of the other is one.
    let trust_store = entry.trust_store.filter(|name| !name.is_empty());
    let advertise = entry.advertise_trust_store_ca_names;
    if mode == MutualMode::Verify {
        if trust_store.is_none() {
            return Err(format!(
                "[{index}].trustStore is needed for the mode verify"
            ));
        }
        if let Some(word) = advertise
            .as_ref()
            .filter(|word| !matches!(word.as_str(), "on" | "off"))
        {
            return Err(format!(
                "[{index}].advertiseTrustStoreCaNames is on or off, not \"{word}\""
            ));
        }
    } else {
        let stray = [
            (trust_store.is_some(), "trustStore"),
            (
                entry.ignore_client_certificate_expiry.is_some(),
                "ignoreClientCertificateExpiry",
            ),
            (advertise.is_some(), "advertiseTrustStoreCaNames"),
        ];
        if let Some((_, key)) = stray.into_iter().find(|(is_given, _)| *is_given) {
            return Err(format!("[{index}].{key} goes with the mode verify only"));
        }
    }
    Ok(MutualAuthentication {
        mode,
        trust_store,
        ignore_client_certificate_expiry: entry.ignore_client_certificate_expiry,
        advertise_trust_store_ca_names: advertise,
    })
}
