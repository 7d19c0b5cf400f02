//! TLS of the service: a certificate that is read again when it changes, and the SPIFFE ids of client certificates.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};
use tokio_rustls::server::TlsStream;

use super::{files, log};
use files::Watched;

const SPIFFE: &str = "spiffe://";

/// Where certificates and keys stand, in PEM.
#[derive(Clone, Debug)]
pub struct Files {
    /// The service's certificate, and those between it and its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities whose clients' certificates are believed; without it none are asked for.
    pub client_ca: Option<PathBuf>,
    /// The key may be readable for everybody.
    pub allow_readable: bool,
}

/// What shakes hands, with the certificate of now.
pub struct Tls(RwLock<Arc<ServerConfig>>);

impl Tls {
    /// Reads the files for the first time.
    pub fn load(files: &Files) -> Result<Tls, String> {
        Ok(Tls(RwLock::new(files.load()?)))
    }

    /// Shakes hands; if the client has shown a certificate with one SPIFFE id, that too.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<(TlsStream<TcpStream>, Option<String>)> {
        let config = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let (_, session) = stream.get_ref();
        let id = session.peer_certificates().and_then(|chain| spiffe_id(chain.first()?));
        Ok((stream, id))
    }
}

/// Reads certificates again when they change. Those that cannot be used are said, and the old ones stay.
pub struct Reread {
    files: Files,
    watched: Watched,
}

impl Reread {
    /// To be made before the files are loaded for the first time.
    pub fn new(files: Files) -> Reread {
        let paths = [Some(files.cert.clone()), Some(files.key.clone()), files.client_ca.clone()];
        Reread { watched: Watched::new(paths.into_iter().flatten().collect()), files }
    }

    /// Looks at the files once.
    pub fn look(&mut self, tls: &Tls) {
        if !self.watched.changed() {
            return;
        }
        match self.files.load() {
            Ok(config) => {
                *tls.0.write().unwrap_or_else(PoisonError::into_inner) = config;
                log::info("the certificate files have changed: new connections use what is in them now");
            }
            Err(problem) => log::error(&format!("the new certificates are not used, the old ones stay: {problem}")),
        }
    }
}

impl Files {
    fn load(&self) -> Result<Arc<ServerConfig>, String> {
        let chain = certificates("--tls-cert", &self.cert)?;
        let key =
            files::read(&self.key, true, self.allow_readable).map_err(|problem| format!("--tls-key: {problem}"))?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| format!("--tls-key: {}: is not a private key (PEM)", self.key.display()))?;
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates("--tls-client-ca", path)? {
                    let failed = |error| format!("--tls-client-ca: {}: {error}", path.display());
                    roots.add(certificate).map_err(failed)?;
                }
                // Who shows none may still have a token.
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| format!("--tls-client-ca: {}: {error}", path.display()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| format!("--tls-cert and --tls-key do not fit together: {error}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificates(option: &str, path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |problem: &str| format!("{option}: {}: {problem}", path.display());
    let text = files::read(path, false, false).map_err(|problem| format!("{option}: {problem}"))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|_| failed("is not a file of certificates (PEM)"))?;
    if certificates.is_empty() { Err(failed("has no certificate in it")) } else { Ok(certificates) }
}

/// The SPIFFE id of a verified certificate: its only URI, as the standard demands.
fn spiffe_id(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let mut uris = certificate.valid_uri_names();
    let id = uris.next().filter(|uri| uri.starts_with(SPIFFE))?;
    uris.next().is_none().then(|| id.to_owned())
}
