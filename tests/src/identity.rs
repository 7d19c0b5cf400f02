//! Who calls: signed JWTs with their key set, and client certificates with SPIFFE identities.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, SanType,
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::Result;

/// The issuer and audience that `envoy/envoy.yaml` names.
const ISSUER: &str = "https://identity.example.com";
const AUDIENCE: &str = "meshmeter";
const KEY_ID: &str = "e2e";

/// One authority for everything: it signs tokens, the server's certificate and the clients'.
pub struct Identity {
    dir: PathBuf,
    signer: EcdsaKeyPair,
    authority: Issuer<'static, KeyPair>,
    authority_der: CertificateDer<'static>,
}

impl Identity {
    /// Makes fresh keys and writes what Envoy reads (`jwks.json`, `server.crt`, `server.key`, `ca.crt`) into `dir`.
    pub fn create(dir: &Path) -> Result<Self> {
        let token_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let signer = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &token_key.serialize_der(),
            &SystemRandom::new(),
        )
        .map_err(|error| format!("token key: {error}"))?;
        fs::write(dir.join("jwks.json"), jwks(signer.public_key().as_ref())?.to_string())?;

        let authority_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = named("meshmeter e2e authority")?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&authority_key)?;
        fs::write(dir.join("ca.crt"), certificate.pem())?;

        let server_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut server = named("proxy")?;
        server.subject_alt_names =
            vec![SanType::DnsName("localhost".try_into()?), SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
        let authority = Issuer::new(params, authority_key);
        fs::write(dir.join("server.crt"), server.signed_by(&server_key, &authority)?.pem())?;
        fs::write(dir.join("server.key"), server_key.serialize_pem())?;
        Ok(Self { dir: dir.to_path_buf(), signer, authority, authority_der: certificate.der().clone() })
    }

    /// A file that [`Identity::create`] wrote.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A token for the meter, valid for a day, with `claims` added to the registered ones.
    pub fn token(&self, claims: &Value) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut payload = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "e2e", "iat": now, "exp": now + 86_400});
        if let (Some(payload), Some(claims)) = (payload.as_object_mut(), claims.as_object()) {
            payload.extend(claims.clone());
        }
        let header = json!({"alg": "ES256", "kid": KEY_ID, "typ": "JWT"});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&payload));
        let signature = self
            .signer
            .sign(&SystemRandom::new(), signed.as_bytes())
            .map_err(|error| format!("signing a token: {error}"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Writes a client's certificate and key for `spiffe` (`client.crt`, `client.key`), for use with curl.
    pub fn write_client(&self, spiffe: &str) -> Result<()> {
        let (certificate, key) = self.certify(vec![SanType::URI(spiffe.try_into()?)])?;
        fs::write(self.file("client.crt"), certificate.pem())?;
        Ok(fs::write(self.file("client.key"), key.serialize_pem())?)
    }

    fn certify(&self, names: Vec<SanType>) -> Result<(Certificate, KeyPair)> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = named("client")?;
        params.subject_alt_names = names;
        Ok((params.signed_by(&key, &self.authority)?, key))
    }

    /// A TLS client that shows a certificate for `spiffe`.
    pub fn client(&self, spiffe: &str) -> Result<Arc<ClientConfig>> {
        self.showing(spiffe, self)
    }

    /// A TLS client that believes another's servers, and shows this authority's certificate for `spiffe`.
    pub fn showing(&self, spiffe: &str, to: &Self) -> Result<Arc<ClientConfig>> {
        self.named(&[spiffe], to)
    }

    /// A TLS client whose certificate has these names: URIs, e-mail addresses, and host names.
    pub fn client_named(&self, names: &[&str]) -> Result<Arc<ClientConfig>> {
        self.named(names, self)
    }

    fn named(&self, names: &[&str], to: &Self) -> Result<Arc<ClientConfig>> {
        let san = |name: &&str| -> Result<SanType> {
            Ok(if name.contains(':') {
                SanType::URI((*name).try_into()?)
            } else if name.contains('@') {
                SanType::Rfc822Name((*name).try_into()?)
            } else {
                SanType::DnsName((*name).try_into()?)
            })
        };
        let (certificate, key) = self.certify(names.iter().map(san).collect::<Result<_>>()?)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Arc::new(to.tls()?.with_client_auth_cert(vec![certificate.der().clone()], key)?))
    }

    /// A TLS client without a certificate.
    pub fn anonymous_client(&self) -> Result<Arc<ClientConfig>> {
        Ok(Arc::new(self.tls()?.with_no_client_auth()))
    }

    fn tls(&self) -> Result<ConfigBuilder> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority_der.clone())?;
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots))
    }
}

type ConfigBuilder = tokio_rustls::rustls::ConfigBuilder<ClientConfig, tokio_rustls::rustls::client::WantsClientCert>;

/// A subject that is not the issuer's: a certificate whose issuer is its own subject counts as self-signed.
fn named(name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// The public key as a JSON Web Key Set (RFC 7517): an uncompressed point is 4, x, y.
fn jwks(point: &[u8]) -> Result<Value> {
    let (Some(x), Some(y)) = (point.get(1..33), point.get(33..65)) else {
        return Err("token key: not an uncompressed P-256 point".into());
    };
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    Ok(json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID, "x": x, "y": y}]}))
}
