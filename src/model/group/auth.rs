//! Sign-in before a request is answered: Cognito, OpenID Connect, or a token that is checked (ingress-model §5.8, §5.9).

use super::{
    Action, SecretRef, Session,
    build::Built,
    context::{Input, MemberInput, Report},
};
use crate::{
    manifest::{
        IngressOptions,
        annotation::{
            Setting,
            options::{AuthOptions, AuthType, CognitoIdp, JwtValidation, Map, OidcIdp},
        },
    },
    problem::{Origin, Problem, codes, nearest::nearest},
};

#[cfg(test)]
mod tests;

const ON_UNAUTHENTICATED_REQUEST: &str = "authenticate";
const SCOPE: &str = "openid";
const SESSION_COOKIE: &str = "AWSELBAuthSessionCookie";
/// A week.
const SESSION_TIMEOUT_SECONDS: i64 = 604_800;

/// Keys of the Secret; the first that is there holds the client's id.
const CLIENT_ID: [&str; 2] = ["clientID", "clientId"];
const CLIENT_SECRET: &str = "clientSecret";

/// What the annotations say of one backend, read whatever the listener's protocol.
#[derive(Debug)]
pub struct Auth<'a> {
    kind: AuthType,
    /// Where the kind is said, else where the backend stands.
    origin: &'a Origin,
    cognito: Option<&'a Setting<CognitoIdp>>,
    oidc: Option<&'a Setting<OidcIdp>>,
    on_unauthenticated_request: Option<&'a String>,
    scope: Option<&'a String>,
    session_cookie: Option<&'a String>,
    session_timeout: Option<i64>,
    jwt: Option<&'a Setting<JwtValidation>>,
}

/// Reads them: the Service's win, annotation by annotation, where the backend is exactly one Service. All are read even
/// where nobody signs in.
///
/// # Errors
/// A value that does not follow its grammar.
pub fn read<'a>(
    member: MemberInput<'a>,
    service: Option<&'a IngressOptions>,
    origin: &'a Origin,
    report: &Report<'_>,
) -> Built<Auth<'a>> {
    let from = From {
        service: service.map(|options| &options.auth),
        ingress: &member.options().auth,
        report,
    };
    let kind = from.ask(|it| it.auth_type.as_ref());
    let on_unauthenticated_request = from.ask(|it| it.on_unauthenticated_request.as_ref());
    let scope = from.ask(|it| it.scope.as_ref());
    let session_cookie = from.ask(|it| it.session_cookie.as_ref());
    let session_timeout = from.ask(|it| it.session_timeout.as_ref());
    let cognito = from.ask(|it| it.idp_cognito.as_ref());
    let oidc = from.ask(|it| it.idp_oidc.as_ref());
    let jwt_validation = member.options().rule.jwt_validation.as_ref();
    let jwt = report.ask(jwt_validation);
    cognito?;
    oidc?;
    jwt?;
    let kind_setting = from.setting(|it| it.auth_type.as_ref());
    Ok(Auth {
        kind: kind?.copied().unwrap_or(AuthType::None),
        origin: kind_setting.map_or(origin, |setting| &setting.origin),
        cognito: from.setting(|it| it.idp_cognito.as_ref()),
        oidc: from.setting(|it| it.idp_oidc.as_ref()),
        on_unauthenticated_request: on_unauthenticated_request?,
        scope: scope?,
        session_cookie: session_cookie?,
        session_timeout: session_timeout?.copied(),
        jwt: jwt_validation,
    })
}

struct From<'a, 'r> {
    service: Option<&'a AuthOptions>,
    ingress: &'a AuthOptions,
    report: &'r Report<'r>,
}

impl<'a> From<'a, '_> {
    fn setting<T>(
        &self,
        field: impl Fn(&'a AuthOptions) -> Option<&'a Setting<T>>,
    ) -> Option<&'a Setting<T>> {
        let of_service = self.service.and_then(&field);
        of_service.or_else(|| field(self.ingress))
    }

    fn ask<T>(
        &self,
        field: impl Fn(&'a AuthOptions) -> Option<&'a Setting<T>>,
    ) -> Built<Option<&'a T>> {
        self.report.ask(self.setting(field))
    }
}

impl Auth<'_> {
    /// The action that stands before the one that answers, on an HTTPS listener.
    ///
    /// # Errors
    /// The provider or its Secret is missing, or tokens are checked as well.
    pub fn action(
        &self,
        input: &Input<'_>,
        member: MemberInput<'_>,
        report: &Report<'_>,
    ) -> Built<Option<Action>> {
        let jwt = self
            .jwt
            .and_then(|setting| Some((setting, setting.good()?)));
        match (self.kind, jwt) {
            (AuthType::None, None) => Ok(None),
            (AuthType::None, Some((_, jwt))) => Ok(Some(Action::JwtValidation(jwt.clone()))),
            (_, Some((setting, _))) => report.refuse(
                Problem::new(
                    codes::AUTH,
                    setting.origin.clone(),
                    "jwt-validation and auth-type exclude each other on an HTTPS listener",
                )
                .of(member.object())
                .hint("keep one of them")
                .also(self.origin.clone()),
            ),
            (AuthType::Cognito, None) => self.cognito(member, report).map(Some),
            (AuthType::Oidc, None) => self.oidc(input, member, report).map(Some),
        }
    }

    fn session(&self, extra_params: &Map) -> Session {
        let text = |given: Option<&String>, default: &str| {
            given.map_or_else(|| default.to_owned(), Clone::clone)
        };
        Session {
            on_unauthenticated_request: text(
                self.on_unauthenticated_request,
                ON_UNAUTHENTICATED_REQUEST,
            ),
            scope: text(self.scope, SCOPE),
            session_cookie_name: text(self.session_cookie, SESSION_COOKIE),
            session_timeout: self.session_timeout.unwrap_or(SESSION_TIMEOUT_SECONDS),
            extra_params: extra_params.clone(),
        }
    }

    fn no_provider<T>(&self, member: MemberInput<'_>, kind: &str, report: &Report<'_>) -> Built<T> {
        report.refuse(
            Problem::new(
                codes::AUTH,
                self.origin.clone(),
                format!("auth-type is {kind}, and auth-idp-{kind} is missing"),
            )
            .of(member.object())
            .hint(format!("add the annotation auth-idp-{kind}")),
        )
    }

    fn cognito(&self, member: MemberInput<'_>, report: &Report<'_>) -> Built<Action> {
        let Some(idp) = self.cognito.and_then(Setting::good) else {
            return self.no_provider(member, "cognito", report);
        };
        Ok(Action::AuthenticateCognito {
            user_pool_arn: idp.user_pool_arn.clone(),
            user_pool_client_id: idp.user_pool_client_id.clone(),
            user_pool_domain: idp.user_pool_domain.clone(),
            session: self.session(&idp.extra_params),
        })
    }

    fn oidc(
        &self,
        input: &Input<'_>,
        member: MemberInput<'_>,
        report: &Report<'_>,
    ) -> Built<Action> {
        let Some((setting, idp)) = self.oidc.and_then(|it| Some((it, it.good()?))) else {
            return self.no_provider(member, "oidc", report);
        };
        let secret = SecretRef {
            namespace: member.ingress.namespace.clone(),
            name: idp.secret_name.clone(),
        };
        check_secret(input, member, &secret, &setting.origin, report)?;
        Ok(Action::AuthenticateOidc {
            issuer: idp.issuer.clone(),
            authorization_endpoint: idp.authorization_endpoint.clone(),
            token_endpoint: idp.token_endpoint.clone(),
            user_info_endpoint: idp.user_info_endpoint.clone(),
            secret,
            session: self.session(&idp.extra_params),
        })
    }
}

fn check_secret(
    input: &Input<'_>,
    member: MemberInput<'_>,
    secret: &SecretRef,
    origin: &Origin,
    report: &Report<'_>,
) -> Built<()> {
    let refuse = |message: String, hint: &str| {
        report.refuse(
            Problem::new(codes::AUTH, origin.clone(), message)
                .of(member.object())
                .hint(hint),
        )
    };
    if secret.name.is_empty() {
        return refuse(
            "auth-idp-oidc names no Secret".to_owned(),
            "add secretName: a Secret with clientID and clientSecret",
        );
    }
    let SecretRef { namespace, name } = secret;
    let key = format!("{namespace}/{name}");
    let (labels, keys) = match (input.secret(&key), input.secret_fact(&key)) {
        (Some(shape), _) => (&shape.labels, &shape.keys),
        (None, None) => {
            let what = format!("Secret {key}, which is not in git,");
            return report.missing_fact(origin, &member.object(), &what);
        }
        (None, Some(Some(fact))) => (&fact.labels, &fact.keys),
        (None, Some(None)) => {
            let hint = match nearest(name, input.secret_names(namespace)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "make a Secret with clientID and clientSecret".to_owned(),
            };
            return refuse(
                format!(
                    "auth-idp-oidc names Secret `{name}`, which is neither in git nor in the cluster, in namespace `{namespace}`"
                ),
                &hint,
            );
        }
    };
    let label = &input.settings.flags.required_secrets_label;
    if !has_label(labels, label) {
        return refuse(
            format!(
                "auth-idp-oidc names Secret `{name}`, which lacks the label {label} that Secrets for sign-in need"
            ),
            "add the label to the Secret",
        );
    }
    let has = |key: &str| keys.contains(key);
    if !CLIENT_ID.iter().any(|key| has(key)) {
        return refuse(
            format!("auth-idp-oidc names Secret `{name}`, which has no key clientID"),
            "add the client's id under clientID",
        );
    }
    if !has(CLIENT_SECRET) {
        return refuse(
            format!("auth-idp-oidc names Secret `{name}`, which has no key {CLIENT_SECRET}"),
            "add the client's secret under clientSecret",
        );
    }
    Ok(())
}

/// Whether the labels hold `key=value`; nothing asks for nothing.
fn has_label(labels: &Map, required: &str) -> bool {
    let (key, value) = required.split_once('=').unwrap_or((required, ""));
    key.is_empty() || labels.get(key).is_some_and(|label| label == value)
}
