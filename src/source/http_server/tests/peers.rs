//! Who may post, where and how; and those who want an answer of their own kind.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn only_the_path_and_the_method_are_served() {
    let mut config = config();
    config.path = "/audit".to_owned();
    let served = Served::new(&config);
    let client = client();
    let post = |path: &str| client.post(served.url(path)).body(CLEAN);
    for (path, wanted) in [
        ("/audit", 200),
        ("/audit?timeout=30s", 200),
        ("/", 404),
        ("/audit/", 404),
        ("/audit/x", 404),
    ] {
        assert_eq!(status(post(path)).await, wanted, "{path}");
    }
    let get = client.get(served.url("/audit")).send().await.unwrap();
    assert_eq!(
        (get.status().as_u16(), header(&get, "allow")),
        (405, Some("POST"))
    );
    // As Vector's sink does before its first.
    assert_eq!(status(client.head(served.url("/audit"))).await, 200);
    assert_eq!(status(client.head(served.url("/"))).await, 404);
    assert_eq!(served.refused(Refusal::Route), 5);
    served.end();

    config.strict_path = false;
    config.method = Method::Put;
    config.response_code = 202;
    let served = Served::new(&config);
    let put = |path: &str| client.put(served.url(path)).body(CLEAN);
    for (path, wanted) in [
        ("/audit", 202),
        ("/audit/x", 202),
        ("/auditor", 404),
        ("/", 404),
    ] {
        assert_eq!(status(put(path)).await, wanted, "{path}");
    }
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_and_bearer_let_in_who_knows() {
    let mut config = config();
    config.auth = Auth {
        strategy: Some(Strategy::Basic),
        username: Some("apiserver".to_owned()),
        password: Some(Secret::new("s3cret".to_owned())),
        token: None,
    };
    let served = Served::new(&config);
    let client = client();
    let post = |served: &Served| post(&client, served, FOUND);
    let refused = post(&served).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(status(client.head(served.url("/"))).await, 401);
    assert!(
        header(&refused, "www-authenticate")
            .unwrap()
            .starts_with("Basic realm=")
    );
    assert_eq!(
        status(post(&served).basic_auth("apiserver", Some("wrong"))).await,
        401
    );
    assert_eq!(status(post(&served).bearer_auth("s3cret")).await, 401);
    assert_eq!(served.pipeline.text(), "", "nobody's data is read");
    assert_eq!(
        status(post(&served).basic_auth("apiserver", Some("s3cret"))).await,
        200
    );
    assert_eq!(served.refused(Refusal::Auth), 4);
    served.end();

    config.auth = Auth {
        strategy: Some(Strategy::Bearer),
        username: None,
        password: None,
        token: Some(Secret::new("t0ken".to_owned())),
    };
    let served = Served::new(&config);
    assert_eq!(status(post(&served).bearer_auth("t0ken")).await, 200);
    assert_eq!(
        status(post(&served).header("X-Amz-Firehose-Access-Key", "t0ken")).await,
        200
    );
    assert_eq!(status(post(&served).bearer_auth("t0kem")).await, 401);
    for (query, wanted) in [
        ("x=1&token=t0ken", 200),
        ("token=t0k%65n", 200),
        ("token=t0k%2565n", 401),
        ("token=t0kem", 401),
        ("token=", 401),
        ("nottoken=t0ken", 401),
    ] {
        let request = client.post(served.url(&format!("/?{query}"))).body(CLEAN);
        assert_eq!(status(request).await, wanted, "{query}");
    }
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_with_prior_knowledge_and_by_tls_and_clients_without_certificates_stay_out() {
    let served = Served::new(&config());
    let client = clients().http2_prior_knowledge().build().unwrap();
    let requests: Vec<_> = (0..20)
        .map(|_| tokio::spawn(post(&client, &served, FOUND).send()))
        .collect();
    for request in requests {
        let response = request.await.unwrap().unwrap();
        assert_eq!(
            (response.status().as_u16(), response.version()),
            (200, reqwest::Version::HTTP_2)
        );
    }
    // More than the window of a connection.
    assert_eq!(
        status(post(&client, &served, vec![b' '; 3 << 20])).await,
        200
    );
    assert_eq!(
        status(post(&client, &served, vec![b' '; 5 << 20])).await,
        413
    );
    served.end();

    let mut config = config();
    config.tls = Tls {
        enabled: true,
        crt_file: Some(file("server.crt")),
        key_file: Some(file("server.key")),
        ca_file: Some(file("ca.crt")),
        verify_certificate: true,
    };
    let served = Served::new(&config);
    let url = format!("https://localhost:{}/", served.address.port());
    let with = |name: &str| {
        let pem = [
            std::fs::read(file(&format!("{name}.crt"))).unwrap(),
            std::fs::read(file(&format!("{name}.key"))).unwrap(),
        ]
        .concat();
        let identity = reqwest::Identity::from_pem(&pem).unwrap();
        clients().tls_certs_only([authority()]).identity(identity)
    };
    let known = with("client").build().unwrap();
    let response = known.post(&url).body(FOUND).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.version()),
        (200, reqwest::Version::HTTP_2)
    );
    let old = with("client").http1_only().build().unwrap();
    let response = old.post(&url).body(FOUND).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.version()),
        (200, reqwest::Version::HTTP_11)
    );
    let stranger = with("stranger").build().unwrap();
    assert!(stranger.post(&url).body(FOUND).send().await.is_err());
    let nobody = clients().tls_certs_only([authority()]).build().unwrap();
    assert!(nobody.post(&url).body(FOUND).send().await.is_err());
    assert_eq!(served.pipeline.text(), format!("{FOUND}\n").repeat(2));
    served.end();
}

/// Its sender hears why, and goes on by the same connection.
#[test]
fn a_body_that_nobody_wants_is_read_if_it_is_short() {
    let served = Served::new(&config());
    let mut stream = served.connect();
    let body = "x".repeat(900_000);
    let request = format!(
        "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{CLEAN}",
        CLEAN.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let answers = heard(&mut stream);
    assert!(answers.starts_with("HTTP/1.1 404 "), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 1, "{answers}");
    assert_eq!(served.pipeline.text().trim_end(), CLEAN);
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn firehose_gets_its_request_id_back() {
    let mut config = config();
    config.response_code = 204;
    config.auth.strategy = Some(Strategy::Bearer);
    config.auth.token = Some(Secret::new("k3y".to_owned()));
    let served = Served::new(&config);
    let client = client();
    let body = r#"{"requestId":"ed4acda5-034f-9f42-bba1-f29aea6d7d8f","timestamp":1578090901599,"records":[{"data":"aGVsbG8="}]}"#;
    let ask = |key: &'static str| {
        post(&client, &served, body)
            .header(
                "X-Amz-Firehose-Request-Id",
                "ed4acda5-034f-9f42-bba1-f29aea6d7d8f",
            )
            .header("X-Amz-Firehose-Access-Key", key)
    };
    let response = ask("k3y").send().await.unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            header(&response, "content-type")
        ),
        (200, Some("application/json"))
    );
    let answer: serde_json::Value =
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(answer["requestId"], "ed4acda5-034f-9f42-bba1-f29aea6d7d8f");
    assert!(answer["timestamp"].as_i64().unwrap() > 1_700_000_000_000);
    let refused = ask("wrong").send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let answer: serde_json::Value =
        serde_json::from_slice(&refused.bytes().await.unwrap()).unwrap();
    assert_eq!(answer["requestId"], "ed4acda5-034f-9f42-bba1-f29aea6d7d8f");
    assert_eq!(answer["errorMessage"], "credentials are missing or wrong");
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn event_grid_gets_its_code_back_and_cloud_events_may_come() {
    let served = Served::new(&config());
    let client = client();
    let question = r#"[{"id":"2d1781af","topic":"/subscriptions/x","subject":"","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent",
        "data":{"validationCode":"512d38b6-c7b8-40c8","validationUrl":"https://rp-eastus2.eventgrid.azure.net/"},"dataVersion":"1"}]"#;
    let asked = post(&client, &served, question).header("aeg-event-type", "SubscriptionValidation");
    let response = asked.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let answer: serde_json::Value =
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(
        answer,
        serde_json::json!({"validationResponse": "512d38b6-c7b8-40c8"})
    );
    let event = post(&client, &served, FOUND).header("aeg-event-type", "Notification");
    assert_eq!(event.send().await.unwrap().bytes().await.unwrap().len(), 0);
    let nonsense = post(&client, &served, "[[[").header("aeg-event-type", "SubscriptionValidation");
    assert_eq!(status(nonsense).await, 200);

    let options = client.request(reqwest::Method::OPTIONS, served.url("/"));
    let response = options
        .header("WebHook-Request-Origin", "eventgrid.azure.net")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(
        header(&response, "webhook-allowed-origin"),
        Some("eventgrid.azure.net")
    );
    assert_eq!(header(&response, "webhook-allowed-rate"), Some("*"));
    assert_eq!(header(&response, "allow"), Some("POST"));
    let options = client.request(reqwest::Method::OPTIONS, served.url("/"));
    assert_eq!(status(options).await, 405);
    served.end();
}

/// The handshake asks whether events are expected here, and shows no token; events have to.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_whether_cloud_events_may_come_shows_no_token_and_their_sender_does() {
    let mut config = config();
    config.auth.strategy = Some(Strategy::Bearer);
    config.auth.token = Some(Secret::new("s3cret".to_owned()));
    let served = Served::new(&config);
    let client = client();
    let options = client.request(reqwest::Method::OPTIONS, served.url("/"));
    let options = options.header("WebHook-Request-Origin", "eventgrid.azure.net");
    assert_eq!(status(options).await, 200);
    let post = |query: &str| client.post(served.url(query)).body(CLEAN);
    assert_eq!(status(post("/")).await, 401);
    assert_eq!(status(post("/?access_token=wrong")).await, 401);
    assert_eq!(status(post("/?a=b&access_token=s3cret")).await, 200);
    served.end();
}
