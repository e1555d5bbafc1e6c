//! Sign-in and tokens: `auth-idp-cognito`, `auth-idp-oidc` and `jwt-validation` (ingress-model.md §5.8, §5.9, §15.3).

use std::collections::BTreeMap;

use super::{
    decode::structure,
    limit,
    options::{CognitoIdp, JwtClaim, JwtValidation, OidcIdp},
    read::{Read, Reading},
};

structure!(Cognito {
    user_pool_arn: String = "userPoolARN",
    user_pool_client_id: String = "userPoolClientID",
    user_pool_domain: String = "userPoolDomain",
    extra_params: BTreeMap<String, String> = "authenticationRequestExtraParams",
});
structure!(Oidc {
    issuer: String = "issuer",
    authorization_endpoint: String = "authorizationEndpoint",
    token_endpoint: String = "tokenEndpoint",
    user_info_endpoint: String = "userInfoEndpoint",
    secret_name: String = "secretName",
    extra_params: BTreeMap<String, String> = "authenticationRequestExtraParams",
});
structure!(Jwt {
    jwks_endpoint: String = "jwksEndpoint",
    issuer: String = "issuer",
    additional_claims: Vec<Claim> = "additionalClaims",
});
structure!(Claim {
    format: String = "format",
    name: String = "name",
    values: Vec<String> = "values",
});

/// LBC checks nothing in it: absent fields are empty.
pub(super) fn cognito(it: &mut Reading<'_>) -> Read<CognitoIdp> {
    it.json(|idp: Cognito, notes| {
        for (key, value) in [
            ("userPoolARN", &idp.user_pool_arn),
            ("userPoolClientID", &idp.user_pool_client_id),
            ("userPoolDomain", &idp.user_pool_domain),
        ] {
            note_empty(key, value, notes);
        }
        Ok(CognitoIdp {
            user_pool_arn: idp.user_pool_arn,
            user_pool_client_id: idp.user_pool_client_id,
            user_pool_domain: idp.user_pool_domain,
            extra_params: idp.extra_params,
        })
    })
}

/// A missing `secretName` is found when the Secret is looked for.
pub(super) fn oidc(it: &mut Reading<'_>) -> Read<OidcIdp> {
    let setting = it.json(|idp: Oidc, notes| {
        for (key, value) in [
            ("issuer", &idp.issuer),
            ("authorizationEndpoint", &idp.authorization_endpoint),
            ("tokenEndpoint", &idp.token_endpoint),
            ("userInfoEndpoint", &idp.user_info_endpoint),
            ("secretName", &idp.secret_name),
        ] {
            note_empty(key, value, notes);
        }
        Ok(OidcIdp {
            issuer: idp.issuer,
            authorization_endpoint: idp.authorization_endpoint,
            token_endpoint: idp.token_endpoint,
            user_info_endpoint: idp.user_info_endpoint,
            secret_name: idp.secret_name,
            extra_params: idp.extra_params,
        })
    });
    it.limited(setting, limit::oidc)
}

fn note_empty(key: &str, value: &str, notes: &mut super::read::Notes) {
    if value.is_empty() {
        notes.push((format!("has no {key}"), Some("AWS wants one".to_owned())));
    }
}

pub(super) fn jwt(it: &mut Reading<'_>) -> Read<JwtValidation> {
    let setting = it.json(|jwt: Jwt, _| {
        let needs = |key: &str, value: &str| {
            (!value.is_empty())
                .then_some(())
                .ok_or_else(|| format!("it needs {key}"))
        };
        needs("jwksEndpoint", &jwt.jwks_endpoint)?;
        needs("issuer", &jwt.issuer)?;
        let mut additional_claims = Vec::new();
        for (index, claim) in jwt.additional_claims.into_iter().enumerate() {
            let place = format!("additionalClaims[{index}]");
            needs(&format!("{place}.format"), &claim.format)?;
            needs(&format!("{place}.name"), &claim.name)?;
            if claim.values.is_empty() {
                return Err(format!("it needs {place}.values"));
            }
            additional_claims.push(JwtClaim {
                format: claim.format,
                name: claim.name,
                values: claim.values,
            });
        }
        Ok(JwtValidation {
            jwks_endpoint: jwt.jwks_endpoint,
            issuer: jwt.issuer,
            additional_claims,
        })
    });
    it.limited(setting, limit::jwt)
}
