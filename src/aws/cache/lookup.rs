//! What users name is remembered for a minute, as LBC does (ingress-model §4.2): a new certificate is found soon, and a
//! burst of commits asks once. Limits hardly ever change: they are read once a day (decision 19 of the spec).

use std::{
    collections::BTreeMap,
    future::Future,
    sync::PoisonError,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::Cached;
use crate::{
    aws::{CertificateQuery, LookupRead, Result},
    model::facts::{CertificateFact, NamedArn, PrefixListFact},
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Answers with the time when they were asked for.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    certificates: Option<(Instant, (CertificateQuery, Vec<CertificateFact>))>,
    web_acls: Kept<Vec<NamedArn>>,
    trust_stores: Kept<Vec<NamedArn>>,
    zone_types: Kept<BTreeMap<String, String>>,
    account_limits: Kept<BTreeMap<String, u64>>,
}

type Kept<T> = Option<(Instant, T)>;

impl Cached {
    /// All but the limits, which have their own time.
    pub(super) fn forget_lookups(&self) {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        *lookups = Lookups {
            account_limits: lookups.account_limits.take(),
            ..Lookups::default()
        };
    }

    async fn looked_up<T: Clone + Send>(
        &self,
        lifetime: Duration,
        place: fn(&mut Lookups) -> &mut Kept<T>,
        ask: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let now = Instant::now();
        let known = {
            let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
            place(&mut lookups).clone()
        };
        if let Some((asked, known)) = known
            && now.duration_since(asked) < lifetime
        {
            return Ok(known);
        }
        let found = ask.await?;
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        *place(&mut lookups) = Some((now, found.clone()));
        Ok(found)
    }
}

#[async_trait]
impl LookupRead for Cached {
    async fn certificates(&self, query: CertificateQuery) -> Result<Vec<CertificateFact>> {
        let known = {
            let lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
            lookups.certificates.clone()
        };
        if known.is_some_and(|(_, (asked, _))| asked != query) {
            self.lookups
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .certificates = None;
        }
        let ask = async { Ok((query, self.inner.certificates(query).await?)) };
        let (_, found) = self
            .looked_up(MINUTE, |lookups| &mut lookups.certificates, ask)
            .await?;
        Ok(found)
    }

    async fn web_acls(&self) -> Result<Vec<NamedArn>> {
        let ask = self.inner.web_acls();
        self.looked_up(MINUTE, |lookups| &mut lookups.web_acls, ask)
            .await
    }

    async fn trust_stores(&self) -> Result<Vec<NamedArn>> {
        let ask = self.inner.trust_stores();
        self.looked_up(MINUTE, |lookups| &mut lookups.trust_stores, ask)
            .await
    }

    async fn prefix_lists(&self) -> Result<Vec<PrefixListFact>> {
        self.inner.prefix_lists().await
    }

    async fn zone_types(&self) -> Result<BTreeMap<String, String>> {
        let ask = self.inner.zone_types();
        self.looked_up(DAY, |lookups| &mut lookups.zone_types, ask)
            .await
    }

    async fn account_limits(&self) -> Result<BTreeMap<String, u64>> {
        let ask = self.inner.account_limits();
        self.looked_up(DAY, |lookups| &mut lookups.account_limits, ask)
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::aws::fake::FakeAccount;

    fn account() -> (Arc<FakeAccount>, Cached) {
        let fake = Arc::new(FakeAccount::seeded("demo"));
        (fake.clone(), Cached::new(fake))
    }

    #[tokio::test]
    async fn lookups_are_asked_once_until_they_are_forgotten_and_limits_once_a_day() {
        let (fake, cached) = account();
        for _ in 0..2 {
            cached
                .certificates(CertificateQuery::default())
                .await
                .unwrap();
            cached.account_limits().await.unwrap();
        }
        assert_eq!(fake.calls().len(), 2);
        cached.forget();
        cached
            .certificates(CertificateQuery::default())
            .await
            .unwrap();
        cached.account_limits().await.unwrap();
        let calls: Vec<_> = fake
            .calls()
            .into_iter()
            .map(|call| call.operation)
            .collect();
        assert_eq!(calls[2..], ["acm:ListCertificates"]);
    }

    #[tokio::test]
    async fn another_question_about_certificates_is_asked_anew() {
        let (fake, cached) = account();
        for authorities in [false, true, true] {
            let query = CertificateQuery {
                authorities,
                tags: false,
            };
            cached.certificates(query).await.unwrap();
        }
        assert_eq!(fake.calls().len(), 2);
    }

    #[tokio::test]
    async fn a_failure_is_not_remembered() {
        let (fake, cached) = account();
        fake.refuse_next("ListWebACLs", "AccessDeniedException");
        assert!(cached.web_acls().await.unwrap_err().is_denied());
        assert_eq!(cached.web_acls().await, Ok(Vec::new()));
    }
}
