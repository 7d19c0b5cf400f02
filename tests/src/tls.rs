//! A server's TLS: it ends here, with a certificate for a name, and the bytes go on in plaintext.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring::default_provider,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::Result;

/// The running server.
pub struct Tls {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Tls {
    /// Starts it in front of another server, with a certificate of its own making for `name`.
    pub async fn start(name: &str, to: SocketAddr) -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = CertificateParams::new(vec![name.to_owned()])?.self_signed(&key)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, task: tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), to)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, to: SocketAddr) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // Either side may leave at any time: nobody needs to know.
            if let (Ok(mut client), Ok(mut server)) = (acceptor.accept(stream).await, TcpStream::connect(to).await) {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
