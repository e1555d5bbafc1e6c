//! Which managed policies may be attached (irsa §7.4 G3).

/// Managed policies of AWS that no glob allows: they would hand out what the boundary is meant to keep (irsa §7.4 G3).
const DENIED_POLICIES: [&str; 4] = [
    "AdministratorAccess",
    "IAMFullAccess",
    "PowerUserAccess",
    "*FullAccess",
];

/// Whether some glob of the administrator's takes the ARN. What is denied by default needs to be listed by its full ARN.
pub(super) fn is_allowed(arn: &str, globs: impl Iterator<Item = String>) -> bool {
    let of_aws = arn.contains(":iam::aws:policy/");
    let name = arn.rsplit('/').next().unwrap_or(arn);
    let denied = of_aws && DENIED_POLICIES.iter().any(|glob| matches(glob, name));
    let mut globs = globs;
    globs.any(|glob| {
        if denied {
            glob == arn
        } else {
            matches(&glob, arn)
        }
    })
}

/// Whether the glob, in which `*` stands for any text, takes all of the text.
pub(super) fn matches(glob: &str, text: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(text) = text.strip_prefix(head) else {
        return false;
    };
    text.char_indices()
        .map(|(index, _)| index)
        .chain([text.len()])
        .any(|index| matches(rest, &text[index..]))
}
