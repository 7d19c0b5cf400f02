//! A bucket of an object store that speaks S3.

use std::fs;
use std::future::Future;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::path::Path as Key;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig};
use tokio::runtime::{Builder, Runtime};

use super::connector::{Carrier, Patience, did_not_respond};
use super::profile::Profile;
use super::{LONGEST, Place, too_long};
use crate::error::Error;
use crate::files::empty;

/// A longer file is sent in parts of this length, bytes.
const PART: usize = 16 << 20;

/// One for all buckets, and it is never dropped: a bucket may be dropped where a thread must not wait, as in a task of another
/// runtime, and to drop a runtime there is a panic.
static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| Builder::new_current_thread().enable_time().build());

/// What a command line says of an object store, beside the environment.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Its URL, if it is not Amazon's.
    pub endpoint: Option<String>,
    /// Certificates (PEM) that vouch for it, instead of the public ones.
    pub authorities: Option<Vec<u8>>,
    /// How long it may take to respond.
    pub patience: Patience,
}

/// A bucket, or what is below a prefix in it.
pub struct Bucket {
    store: AmazonS3,
    name: String,
    prefix: Key,
    staging: PathBuf,
    runtime: &'static Runtime,
}

impl Bucket {
    /// Opens `BUCKET/PREFIX`. Credentials and region come from the environment, as the AWS command line takes them.
    pub fn open(path: &str, settings: &Settings) -> Result<Bucket, Error> {
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        let name = format!("s3://{path}");
        let failed = |error: object_store::Error| Error::of(&name, error);
        if bucket.is_empty() {
            return Err(Error::of(&name, "must be s3://BUCKET/PREFIX"));
        }
        let prefix = Key::parse(prefix.trim_end_matches('/')).map_err(|error| Error::of(&name, error))?;
        let (max_retries, retry_timeout) = settings.patience.retries();
        let retry = RetryConfig { max_retries, retry_timeout, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_retry(retry)
            // The server compares, so that what it keeps is what was sent.
            .with_checksum_algorithm(Checksum::SHA256)
            .with_http_connector(Carrier::new(settings.authorities.as_deref(), settings.patience)?);
        builder = with_profile(builder, &Profile::of_the_environment());
        if let Some(endpoint) = &settings.endpoint {
            // It comes before what the environment says of either name.
            builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
        }
        let store = builder.build().map_err(failed)?;
        let runtime = RUNTIME.as_ref().map_err(|error| Error::of(&name, error))?;
        let staging = std::env::temp_dir().join(format!("meshmeter-export-{}", std::process::id()));
        Ok(Bucket { store, name, prefix, staging, runtime })
    }

    fn key(&self, path: &str) -> Key {
        path.split('/').fold(self.prefix.clone(), |key, part| key.join(part))
    }

    /// Waits for a response; an error names the object.
    fn wait<T>(&self, path: &str, work: impl Future<Output = object_store::Result<T>>) -> Result<T, Error> {
        self.runtime.block_on(work).map_err(|error| self.failed(path, &error))
    }

    fn failed(&self, path: &str, error: &object_store::Error) -> Error {
        let mut text = without_body(&error.to_string());
        if text.contains("169.254.169.254") {
            text = "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; this machine has no role \
                    of its own either"
                .to_owned();
        }
        let what = format!("{}/{path}", self.name.trim_end_matches('/'));
        if did_not_respond(error) { Error::away(what, text) } else { Error::of(what, text) }
    }

    fn put(&self, path: &str, bytes: &[u8], mode: PutMode) -> object_store::Result<()> {
        let payload = PutPayload::from(bytes.to_vec());
        self.runtime.block_on(self.store.put_opts(&self.key(path), payload, mode.into())).map(drop)
    }
}

/// What the environment does not say, the profile may.
fn with_profile(mut builder: AmazonS3Builder, profile: &Profile) -> AmazonS3Builder {
    let has = |builder: &AmazonS3Builder, key: AmazonS3ConfigKey| builder.get_config_value(&key).is_some();
    let has_key =
        has(&builder, AmazonS3ConfigKey::AccessKeyId) || has(&builder, AmazonS3ConfigKey::WebIdentityTokenFile);
    if !has_key && let Some((id, secret)) = profile.get("aws_access_key_id").zip(profile.get("aws_secret_access_key")) {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        if let Some(token) = profile.get("aws_session_token") {
            builder = builder.with_token(token);
        }
    }
    match profile.get("region") {
        Some(region) if !has(&builder, AmazonS3ConfigKey::Region) => builder.with_region(region),
        _ => builder,
    }
}

impl Place for Bucket {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn staging(&self) -> Result<PathBuf, Error> {
        empty(&self.staging)?;
        Ok(self.staging.clone())
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let key = self.key(path);
        let read = self.runtime.block_on(async {
            let found = self.store.get(&key).await?;
            if found.meta.size > LONGEST { Ok(None) } else { found.bytes().await.map(Some) }
        });
        match read {
            Ok(Some(bytes)) => Ok(Some(bytes.to_vec())),
            Ok(None) => Err(Error::of(format!("{}/{path}", self.name.trim_end_matches('/')), too_long())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(path, &error)),
        }
    }

    fn size(&self, path: &str) -> Result<Option<u64>, Error> {
        match self.runtime.block_on(self.store.head(&self.key(path))) {
            Ok(head) => Ok(Some(head.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(path, &error)),
        }
    }

    fn fetch(&self, path: &str, copy: &dyn Fn() -> Result<PathBuf, Error>) -> Result<Option<PathBuf>, Error> {
        let key = self.key(path);
        let Some(bytes) = self.size(path)? else { return Ok(None) };
        let copy = copy()?;
        let cannot_write = |error: io::Error| Error::of(copy.display(), error);
        let mut file = fs::File::create_new(&copy).map_err(cannot_write)?;
        let mut begin = 0;
        while begin < bytes {
            let end = bytes.min(begin.saturating_add(PART as u64));
            let part = self.wait(path, self.store.get_range(&key, begin..end))?;
            if part.len() as u64 != end.saturating_sub(begin) {
                return Err(Error::of(format!("{}/{path}", self.name.trim_end_matches('/')), "was not sent whole"));
            }
            file.write_all(&part).map_err(cannot_write)?;
            begin = end;
        }
        Ok(Some(copy))
    }

    fn create(&self, path: &str, bytes: &[u8]) -> Result<bool, Error> {
        match self.put(path, bytes, PutMode::Create) {
            Ok(()) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.failed(path, &error)),
        }
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.put(path, bytes, PutMode::Overwrite).map_err(|error| self.failed(path, &error))
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        let mut directories = vec![self.key(directory)];
        while let Some(next) = directories.pop() {
            let listed = self.wait(directory, self.store.list_with_delimiter(Some(&next)))?;
            directories.extend(listed.common_prefixes);
            found.extend(listed.objects.into_iter().map(|object| object.location));
        }
        // Their paths below the prefix.
        let below = |key: Key| {
            key.prefix_match(&self.prefix)
                .map(|parts| parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"))
        };
        let mut found: Vec<String> = found.into_iter().filter_map(below).collect();
        found.sort();
        Ok(found)
    }

    fn delete(&self, path: &str) -> Result<(), Error> {
        match self.runtime.block_on(self.store.delete(&self.key(path))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(path, &error)),
        }
    }

    fn publish(&self, staged: &Path, path: &str) -> Result<(), Error> {
        let cannot_read = |error: io::Error| Error::of(staged.display(), error);
        let mut file = fs::File::open(staged).map_err(cannot_read)?;
        let mut next = || {
            let mut part = Vec::new();
            let read = Read::by_ref(&mut file).take(PART as u64).read_to_end(&mut part);
            read.map(|_| part).map_err(cannot_read)
        };
        let first = next()?;
        let key = self.key(path);
        if first.len() < PART {
            self.wait(path, self.store.put(&key, first.into()))?;
        } else {
            let mut upload = self.wait(path, self.store.put_multipart(&key))?;
            let mut part = first;
            let sent = loop {
                if part.is_empty() {
                    break self.wait(path, upload.complete()).map(drop);
                }
                if let Err(error) = self.wait(path, upload.put_part(part.into())) {
                    break Err(error);
                }
                part = match next() {
                    Ok(part) => part,
                    Err(error) => break Err(error),
                };
            };
            if sent.is_err() {
                // What was sent would be paid for until somebody takes it away.
                let _ = self.runtime.block_on(upload.abort());
            }
            sent?;
        }
        fs::remove_file(staged).map_err(cannot_read)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.staging);
    }
}

/// What a store says of an error, without the XML in which it repeats the request, the name of the key and the signature: of that
/// only the code.
fn without_body(text: &str) -> String {
    let Some((before, body)) = text.split_once('<') else { return text.to_owned() };
    let code = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    let before = before.trim_end_matches([' ', ':', '\n']);
    code.map_or_else(|| before.to_owned(), |code| format!("{before}: {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_a_bucket_can_be_dropped_where_a_thread_must_not_wait() {
        let settings = Settings { endpoint: Some("http://127.0.0.1:1".to_owned()), ..Settings::default() };
        let bucket = Bucket::open("billing/p", &settings).unwrap();
        // As long as another one is there, and as the last one.
        for bucket in [Bucket::open("billing/q", &settings).unwrap(), bucket] {
            Builder::new_current_thread().build().unwrap().block_on(async { drop(bucket) });
        }
    }

    #[test]
    fn contract_what_a_store_repeats_of_a_request_is_not_shown() {
        let said = "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?><Error><Code>\
                    SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>";
        assert_eq!(without_body(said), "Server returned non-2xx status code: 403 Forbidden: SignatureDoesNotMatch");
        assert_eq!(without_body("502: <html>away</html>"), "502");
        assert_eq!(without_body("connection refused"), "connection refused");
    }
}
