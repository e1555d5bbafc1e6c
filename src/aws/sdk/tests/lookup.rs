//! What users name: as AWS answers it, page by page.

use serde_json::{Value, json};

use super::wire::{Answer, Wire, elb, xml};
use crate::{
    aws::{CertificateQuery, Ec2Read, LookupRead},
    model::net::Tags,
};

fn json(body: Value) -> Answer {
    (200, "application/x-amz-json-1.1", body.to_string())
}

fn refused(code: &str) -> Answer {
    let body = json!({"__type": code, "message": "no"}).to_string();
    (400, "application/x-amz-json-1.1", body)
}

fn summary(name: &str, more: Value) -> Value {
    let mut summary = json!({
        "CertificateArn": format!("arn:aws:acm:us-east-1:123456789012:certificate/{name}"),
        "DomainName": format!("{name}.example.com"),
        "SubjectAlternativeNameSummaries": [format!("{name}.example.com"), "*.example.com"],
        "HasAdditionalSubjectAlternativeNames": false,
        "Status": "ISSUED",
        "Type": "IMPORTED",
        "KeyAlgorithm": "EC_prime256v1",
        "NotAfter": 1_826_942_646.0,
    });
    let fields = more.as_object().unwrap().clone();
    summary.as_object_mut().unwrap().extend(fields);
    summary
}

fn requests(wire: &Wire) -> Vec<Value> {
    let requests = wire.requests();
    requests
        .iter()
        .map(|body| serde_json::from_str(body).unwrap())
        .collect()
}

#[tokio::test]
async fn certificates_of_all_key_types_come_page_by_page_with_their_names() {
    let pages = vec![
        json(json!({"CertificateSummaryList": [summary("b", json!({}))], "NextToken": "more"})),
        json(json!({"CertificateSummaryList": [
            summary("a", json!({})),
            summary("c", json!({"Status": "PENDING_VALIDATION",
                                "HasAdditionalSubjectAlternativeNames": true})),
        ]})),
    ];
    let (wire, sdk) = Wire::start(pages).await;
    let found = sdk.certificates(CertificateQuery::default()).await.unwrap();
    let names: Vec<&str> = found.iter().map(|it| it.domain.as_str()).collect();
    assert_eq!(names, ["a.example.com", "b.example.com", "c.example.com"]);
    assert_eq!(found[0].sans, ["a.example.com", "*.example.com"]);
    assert_eq!(found[0].status, "ISSUED");
    assert_eq!(found[0].kind, "IMPORTED");
    assert_eq!(found[0].not_after.as_deref(), Some("2027-11-23T04:04:06Z"));
    let requests = requests(&wire);
    assert_eq!(
        requests.len(),
        2,
        "nothing is asked of one that is not issued"
    );
    assert_eq!(requests[1]["NextToken"], "more");
    let types = requests[0]["Includes"]["keyTypes"].as_array().unwrap();
    for wanted in ["RSA_2048", "RSA_4096", "EC_prime256v1", "EC_secp521r1"] {
        assert!(types.iter().any(|it| it == wanted), "{types:?}");
    }
}

#[tokio::test]
async fn a_certificate_with_more_names_than_a_summary_holds_is_described() {
    let answers = vec![
        json(json!({"CertificateSummaryList": [
            summary("a", json!({"HasAdditionalSubjectAlternativeNames": true})),
            summary("gone", json!({"HasAdditionalSubjectAlternativeNames": true})),
        ]})),
        json(json!({"Certificate": {
            "CertificateArn": "arn:a",
            "SubjectAlternativeNames": ["a.example.com", "z.example.com"],
        }})),
        refused("ResourceNotFoundException"),
    ];
    let (wire, sdk) = Wire::start(answers).await;
    let found = sdk.certificates(CertificateQuery::default()).await.unwrap();
    assert_eq!(found.len(), 1, "one that was deleted meanwhile is left out");
    assert_eq!(found[0].sans, ["a.example.com", "z.example.com"]);
    assert_eq!(wire.requests().len(), 3);
}

#[tokio::test]
async fn authorities_and_tags_are_asked_only_where_they_are_wanted() {
    let list = || {
        json(json!({"CertificateSummaryList": [
            summary("own", json!({"Type": "PRIVATE"})),
            summary("public", json!({"Type": "AMAZON_ISSUED"})),
        ]}))
    };
    let tags = |key: &str| json(json!({"Tags": [{"Key": key, "Value": "v"}, {"Key": "bare"}]}));
    let answers = vec![
        list(),
        json(json!({"Certificate": {
            "SubjectAlternativeNames": ["own.example.com"],
            "CertificateAuthorityArn": "arn:ca",
        }})),
        tags("own"),
        tags("public"),
    ];
    let (wire, sdk) = Wire::start(answers).await;
    let query = CertificateQuery {
        authorities: true,
        tags: true,
    };
    let found = sdk.certificates(query).await.unwrap();
    assert_eq!(
        found[0].certificate_authority_arn.as_deref(),
        Some("arn:ca")
    );
    assert_eq!(found[1].certificate_authority_arn, None);
    let expected = [("bare", ""), ("public", "v")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(found[1].tags, Tags::from(expected));
    assert_eq!(wire.requests().len(), 4);

    let (wire, sdk) = Wire::start(vec![list()]).await;
    sdk.certificates(CertificateQuery::default()).await.unwrap();
    assert_eq!(wire.requests().len(), 1);
}

#[tokio::test]
async fn a_refused_list_is_an_error_and_not_an_empty_list() {
    let (_, sdk) = Wire::start(vec![refused("AccessDeniedException")]).await;
    let error = sdk
        .certificates(CertificateQuery::default())
        .await
        .unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert_eq!(
        (error.service.as_str(), error.operation.as_str()),
        ("acm", "ListCertificates")
    );
    let (_, sdk) = Wire::start(vec![refused("AccessDeniedException")]).await;
    assert!(sdk.web_acls().await.unwrap_err().is_denied());
}

#[tokio::test]
async fn web_acls_are_the_regional_ones_of_all_pages() {
    let acl = |name: &str| json!({"Name": name, "Id": "1", "ARN": format!("arn:{name}")});
    let pages = vec![
        json(json!({"WebACLs": [acl("b")], "NextMarker": "b"})),
        json(json!({"WebACLs": [acl("a")]})),
    ];
    let (wire, sdk) = Wire::start(pages).await;
    let found = sdk.web_acls().await.unwrap();
    let names: Vec<&str> = found.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(found[0].arn, "arn:a");
    let requests = requests(&wire);
    assert_eq!(requests[0]["Scope"], "REGIONAL");
    assert_eq!(requests[1]["NextMarker"], "b");
}

#[tokio::test]
async fn trust_stores_and_limits_come_page_by_page() {
    let store = |name: &str| {
        format!("<member><Name>{name}</Name><TrustStoreArn>arn:{name}</TrustStoreArn></member>")
    };
    let pages = vec![
        elb(
            "DescribeTrustStores",
            &format!(
                "<TrustStores>{}</TrustStores><NextMarker>m</NextMarker>",
                store("b")
            ),
        ),
        elb(
            "DescribeTrustStores",
            &format!("<TrustStores>{}</TrustStores>", store("a")),
        ),
    ];
    let (wire, sdk) = Wire::start(pages).await;
    let names: Vec<String> = sdk
        .trust_stores()
        .await
        .unwrap()
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert!(wire.requests()[1].contains("Marker=m"));

    let limit =
        |name: &str, max: &str| format!("<member><Name>{name}</Name><Max>{max}</Max></member>");
    let pages = vec![
        elb(
            "DescribeAccountLimits",
            &format!(
                "<Limits>{}{}</Limits><NextMarker>m</NextMarker>",
                limit("target-groups", "3000"),
                limit("odd", "many")
            ),
        ),
        elb(
            "DescribeAccountLimits",
            &format!(
                "<Limits>{}</Limits>",
                limit("application-load-balancers", "50")
            ),
        ),
    ];
    let (_, sdk) = Wire::start(pages).await;
    let limits = sdk.account_limits().await.unwrap();
    assert_eq!(limits["application-load-balancers"], 50);
    assert_eq!(limits["target-groups"], 3000);
    assert!(
        !limits.contains_key("odd"),
        "what is no number is not known"
    );
}

#[tokio::test]
async fn prefix_lists_and_zones_are_those_of_ec2() {
    let list = |id: &str, more: &str| {
        xml(format!(
            r#"<DescribeManagedPrefixListsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><prefixListSet><item><prefixListId>{id}</prefixListId><prefixListName>office</prefixListName></item></prefixListSet>{more}</DescribeManagedPrefixListsResponse>"#
        ))
    };
    let pages = vec![list("pl-2", "<nextToken>t</nextToken>"), list("pl-1", "")];
    let (wire, sdk) = Wire::start(pages).await;
    let found = sdk.prefix_lists().await.unwrap();
    let ids: Vec<&str> = found.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["pl-1", "pl-2"]);
    assert!(wire.requests()[1].contains("NextToken=t"));

    let zones = xml(
        r#"<DescribeAvailabilityZonesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><availabilityZoneInfo><item><zoneName>us-west-2a</zoneName><zoneType>availability-zone</zoneType></item><item><zoneName>us-west-2-lax-1a</zoneName><zoneType>local-zone</zoneType></item></availabilityZoneInfo></DescribeAvailabilityZonesResponse>"#,
    );
    let (_, sdk) = Wire::start(vec![zones]).await;
    let types = sdk.zone_types().await.unwrap();
    assert_eq!(types["us-west-2-lax-1a"], "local-zone");
    assert_eq!(types["us-west-2a"], "availability-zone");
}

#[tokio::test]
async fn ipv6_ranges_count_once_they_are_associated() {
    let block = |cidr: &str, state: &str| {
        format!(
            "<item><ipv6CidrBlock>{cidr}</ipv6CidrBlock><ipv6CidrBlockState><state>{state}</state></ipv6CidrBlockState></item>"
        )
    };
    let subnets = xml(format!(
        r#"<DescribeSubnetsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><subnetSet><item><subnetId>subnet-1</subnetId><ipv6CidrBlockAssociationSet>{}{}</ipv6CidrBlockAssociationSet></item></subnetSet></DescribeSubnetsResponse>"#,
        block("2001:db8::/64", "associated"),
        block("2001:db8:1::/64", "disassociating")
    ));
    let (_, sdk) = Wire::start(vec![subnets]).await;
    let found = sdk.subnets(false).await.unwrap();
    assert_eq!(found[0].ipv6_cidrs, ["2001:db8::/64"]);
}
