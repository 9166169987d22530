//! An S3 server that is not ours: moto, on the loopback, with a bucket.

use std::net::SocketAddr;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};

use super::strangers::{Stranger, moto_server};
use super::{Answer, Web, eventually};

/// The bucket that exists from the start.
pub const BUCKET: &str = "stage";

/// A running S3 server.
pub struct Moto {
    _stranger: Stranger,
    web: Web,
    pub address: SocketAddr,
}

impl Moto {
    /// Starts one; it takes any keys.
    pub async fn start() -> Self {
        let stranger = moto_server();
        let address = eventually("moto to listen", async || {
            let lines = stranger.complaints().all();
            lines.iter().find_map(|line| line.split_once("http://")?.1.split_whitespace().next()?.parse().ok())
        })
        .await;
        let moto = Self { _stranger: stranger, web: Web::new(address), address };
        assert_eq!(moto.put(&format!("/{BUCKET}"), Vec::new(), &[]).await.status, 200);
        moto
    }

    /// From now on it accepts only these keys and checks signatures; it checks those of URLs with percent signs wrongly, whoever
    /// makes them.
    pub async fn demand_keys(&self) -> (String, String) {
        self.iam("Action=CreateUser&UserName=dmxd").await;
        let policy = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C\
                      %22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D";
        self.iam(&format!("Action=PutUserPolicy&UserName=dmxd&PolicyName=all&PolicyDocument={policy}")).await;
        let made = self.iam("Action=CreateAccessKey&UserName=dmxd").await.text;
        let field = |name: &str| {
            let (_, rest) = made.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {made}"));
            rest.split_once('<').unwrap().0.to_owned()
        };
        assert_eq!(self.web.post("/moto-api/reset-auth", "0").await.status, 200);
        (field("AccessKeyId"), field("SecretAccessKey"))
    }

    /// From now on it accepts any keys again.
    pub async fn take_any_keys(&self) {
        assert_eq!(self.web.post("/moto-api/reset-auth", "1000000").await.status, 200);
    }

    /// Stores an object, or makes a bucket, without dmxd.
    pub async fn put(&self, path: &str, body: Vec<u8>, metadata: &[(&str, &str)]) -> Answer {
        let request = metadata.iter().fold(self.request(Method::PUT, path), |request, (name, value)| {
            request.header(format!("x-amz-meta-{name}"), *value)
        });
        self.web.send(request.body(body)).await
    }

    /// An object's headers and bytes.
    pub async fn get(&self, path: &str) -> Answer {
        self.web.send(self.request(Method::GET, path)).await
    }

    /// Headers of an object.
    pub async fn head(&self, path: &str) -> HeaderMap {
        self.web.send(self.request(Method::HEAD, path)).await.headers
    }

    /// Deletes an object, without dmxd.
    pub async fn delete(&self, path: &str) {
        self.web.send(self.request(Method::DELETE, path)).await;
    }

    /// Keys of all objects in the bucket.
    pub async fn keys(&self) -> Vec<String> {
        let text = self.get(&format!("/{BUCKET}?list-type=2")).await.text;
        let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        keys.map(|(key, _)| key.to_owned()).collect()
    }

    /// With keys: strangers may not read what dmxd has stored.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let signed =
            "AWS4-HMAC-SHA256 Credential=test/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        self.web.request(method, path).header("authorization", signed)
    }

    async fn iam(&self, form: &str) -> Answer {
        let signed =
            "AWS4-HMAC-SHA256 Credential=test/20250101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0";
        let request = self.web.request(Method::POST, "/").header("authorization", signed);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
        let answer = self.web.send(request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }
}
