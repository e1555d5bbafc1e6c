//! The grammars of Kubernetes' names. Each gives back what was expected.

pub type Grammar = fn(&str) -> Result<(), &'static str>;

/// RFC 1123 label: namespaces and, since Kubernetes 1.36, Services (gate `RelaxedServiceNameValidation`); an older cluster
/// wants a letter first in a Service's name and says so itself.
pub fn label(text: &str) -> Result<(), &'static str> {
    let fine = is_label(text) && text.len() <= 63;
    fine.then_some(())
        .ok_or("up to 63 lower-case letters, digits and `-`, first and last no `-`")
}

/// RFC 1123 subdomain: most objects.
pub fn subdomain(text: &str) -> Result<(), &'static str> {
    let fine = text.len() <= 253 && text.split('.').all(is_label);
    fine.then_some(()).ok_or(
        "up to 253 lower-case letters, digits, `-` and `.`, each part beginning and ending with a letter or digit",
    )
}

/// What may stand in a URL's path: RBAC objects and kinds that we do not know.
pub fn path_segment(text: &str) -> Result<(), &'static str> {
    let fine = !text.is_empty()
        && text.len() <= 253
        && text != "."
        && text != ".."
        && !text.contains(['/', '%'])
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    fine.then_some(())
        .ok_or("up to 253 characters without spaces, `/` and `%`")
}

/// Kind or name in a reference, which may be longer than a name (`IsPathSegmentName`).
pub fn reference(text: &str) -> Result<(), &'static str> {
    let fine = !matches!(text, "" | "." | "..") && !text.contains(['/', '%']);
    fine.then_some(())
        .ok_or("text without `/` and `%`, other than `.` and `..`")
}

/// The controller of an IngressClass: a domain-prefixed path (`IsDomainPrefixedPath`) of limited length
/// (`validateIngressClassSpec`).
pub fn controller(text: &str) -> Result<(), &'static str> {
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
    let fine = text.len() <= 250
        && text.split_once('/').is_some_and(|(host, path)| {
            subdomain(host).is_ok() && !path.is_empty() && path.bytes().all(in_path)
        });
    fine.then_some(()).ok_or(
        "up to 250 characters: a lower-case DNS name, `/`, and a path of letters, digits and `/-._~%!$&'()*+,;=:`",
    )
}

/// An annotation's key: `prefix/name` or `name`.
pub fn annotation_key(text: &str) -> Result<(), &'static str> {
    // The API server looks at these keys in lower case.
    let fine = is_qualified(text, |prefix| {
        subdomain(&prefix.to_ascii_lowercase()).is_ok()
    });
    fine.then_some(()).ok_or(
        "`name` or `prefix/name`: the prefix a DNS name, the name up to 63 letters, digits, `-`, `_` and `.`",
    )
}

/// A label's key, in a selector too, or a field's value that is such a name (Kubernetes' `IsQualifiedName`).
pub fn qualified(text: &str) -> Result<(), &'static str> {
    let fine = is_qualified(text, |prefix| subdomain(prefix).is_ok());
    fine.then_some(()).ok_or(
        "`name` or `prefix/name`: the prefix a lower-case DNS name, the name up to 63 letters, digits, `-`, `_` and `.`",
    )
}

/// A label's value.
pub fn label_value(text: &str) -> Result<(), &'static str> {
    (text.is_empty() || is_name_part(text))
        .then_some(())
        .ok_or("up to 63 letters, digits, `-`, `_` and `.`, first and last a letter or digit")
}

/// A key of a ConfigMap's or a Secret's data, which may become the name of a file (Kubernetes' `IsConfigMapKey`).
pub fn config_key(text: &str) -> Result<(), &'static str> {
    let fine = (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && text != "."
        && !text.starts_with("..");
    fine.then_some(()).ok_or(
        "up to 253 letters, digits, `-`, `_` and `.`, other than `.` and not beginning with `..`",
    )
}

/// A port's name (IANA service name).
pub fn port(text: &str) -> Result<(), &'static str> {
    let fine = (1..=15).contains(&text.len())
        && is_label(text)
        && !text.contains("--")
        && text.bytes().any(|byte| byte.is_ascii_lowercase());
    fine.then_some(())
        .ok_or("up to 15 lower-case letters, digits and single `-`, with at least one letter")
}

/// A host of an Ingress rule: a DNS name, its first label possibly `*`; no address.
pub fn host(text: &str) -> Result<(), &'static str> {
    let rest = text.strip_prefix("*.").unwrap_or(text);
    let fine = subdomain(rest).is_ok() && !is_address(text);
    fine.then_some(())
        .ok_or("a lower-case DNS name, possibly with `*.` in front, and no address")
}

/// A host of `spec.tls`: the API server does not mind addresses there.
pub fn tls_host(text: &str) -> Result<(), &'static str> {
    subdomain(text.strip_prefix("*.").unwrap_or(text))
        .map_err(|_| "a lower-case DNS name, possibly with `*.` in front")
}

/// Four numbers; longer addresses have colons, which no name has.
fn is_address(text: &str) -> bool {
    text.split('.').count() == 4 && text.split('.').all(|part| part.parse::<u8>().is_ok())
}

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_qualified(text: &str, is_prefix: impl Fn(&str) -> bool) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_prefix(prefix) && is_name_part(name),
        None => is_name_part(text),
    }
}

fn is_name_part(text: &str) -> bool {
    let alphanumeric = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && alphanumeric(text.bytes().next())
        && alphanumeric(text.bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_domain_prefixed_paths() {
        let long = format!("a.example/{}", "x".repeat(240));
        for good in ["k8s.io/ingress-nginx", "a/b/c", "a.example/~(x):%2F", &long] {
            assert!(controller(good).is_ok(), "{good}");
        }
        let longer = format!("{long}x");
        for bad in [
            "",
            "nginx",
            "/a",
            "a/",
            "A.example/b",
            "a..b/c",
            "a/b c",
            "a/b?",
            &longer,
        ] {
            assert!(controller(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_follow_kubernetes_grammars() {
        assert!(label("a-1").is_ok() && label("-a").is_err() && label("A").is_err());
        assert!(label(&"a".repeat(64)).is_err());
        assert!(label("1a").is_ok() && label("").is_err());
        assert!(reference("A b").is_ok() && reference(&"a".repeat(300)).is_ok());
        for bad in ["", ".", "..", "a/b", "a%b"] {
            assert!(reference(bad).is_err(), "{bad}");
        }
        assert!(subdomain("a.b-c").is_ok() && subdomain("a..b").is_err() && subdomain("").is_err());
        assert!(path_segment("system:node").is_ok() && path_segment("a/b").is_err());
        assert!(qualified("a.example/Name_1").is_ok() && qualified("a.example/").is_err());
        assert!(qualified("a/b/c").is_err() && qualified("plain").is_ok());
        assert!(annotation_key("A.example/a").is_ok() && qualified("A.example/a").is_err());
        assert!(annotation_key("a.example/A").is_ok() && annotation_key("a/b/c").is_err());
        assert!(label_value("").is_ok() && label_value("a b").is_err());
        for good in [".env", "a..b", "A_b-1.pem", &"a".repeat(253)] {
            assert!(config_key(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "..a", "a b", "a/b", &"a".repeat(254)] {
            assert!(config_key(bad).is_err(), "{bad}");
        }
        assert!(port("http").is_ok() && port("80").is_err() && port("a--b").is_err());
        assert!(host("*.example.com").is_ok() && host("10.0.0.1").is_err() && host("*").is_err());
    }
}
