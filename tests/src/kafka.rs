//! A real Kafka broker (KRaft, one node), and what Kafka's own client reads there.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use serde::Deserialize;

use crate::{Result, paths, process::Process, wait};

/// Any id of a cluster will do.
const CLUSTER: &str = "bWVzaG1ldGVyQUFBQUFBQQ";
/// The user of the listener that speaks TLS, who may do what the test grants.
pub const USER: &str = "relay";
/// The user's password.
pub const PASSWORD: &str = "relay-password-of-the-tests";

/// A running broker.
pub struct Kafka {
    process: Process,
    dir: PathBuf,
    /// Of the plain listener, the one that speaks TLS and SASL, and the controller.
    ports: [u16; 3],
}

/// A message as a reader sees it.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Its headers.
    pub headers: std::collections::BTreeMap<String, String>,
}

impl Kafka {
    /// Starts a broker with an empty log.
    pub async fn start(dir: &Path) -> Result<Self> {
        let dir = dir.join("kafka");
        fs::create_dir(&dir)?;
        let ports = free_ports()?;
        fs::write(dir.join("authority.pem"), certificate(&dir)?)?;
        fs::write(dir.join("server.properties"), properties(&dir, ports)?)?;
        let mut format = java(&[]);
        format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "--add-scram"]);
        format.arg(format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]"));
        done(format.arg("-c").arg(dir.join("server.properties")).output()?)?;
        let process = run(&dir)?;
        let mut kafka = Self { process, dir, ports };
        kafka.listens().await?;
        Ok(kafka)
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.process.alive()?;
        self.process.kill()
    }

    /// Starts it again on its log.
    pub async fn again(&mut self) -> Result<()> {
        self.process.quiet();
        self.process = run(&self.dir)?;
        self.listens().await
    }

    async fn listens(&mut self) -> Result<()> {
        let port = self.ports[0];
        loop {
            self.process.alive()?;
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Where it listens, without TLS and for everybody.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Where it listens with TLS, for [`USER`].
    pub fn secure_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[1])
    }

    /// The certificate that vouches for it there.
    pub fn authority(&self) -> PathBuf {
        self.dir.join("authority.pem")
    }

    /// Creates a topic.
    pub fn create(&self, topic: &str, partitions: u32) -> Result<()> {
        self.topics(&["create", &self.address(), topic, &partitions.to_string()]).map(drop)
    }

    /// Lets [`USER`] do this with a resource: `topic usage Write,Describe`.
    pub fn grant(&self, kind: &str, name: &str, operations: &str) -> Result<()> {
        self.topics(&["grant", &self.address(), name, kind, USER, operations]).map(drop)
    }

    /// What a reader of what is committed sees of a topic.
    pub fn committed(&self, topic: &str) -> Result<Vec<Message>> {
        self.read(topic, "read_committed")
    }

    /// All that was written to a topic.
    pub fn written(&self, topic: &str) -> Result<Vec<Message>> {
        self.read(topic, "read_uncommitted")
    }

    fn read(&self, topic: &str, isolation: &str) -> Result<Vec<Message>> {
        let text = self.topics(&["read", &self.address(), topic, isolation])?;
        let mut lines: Vec<&str> = text.lines().collect();
        // It says at the end that it came to the end.
        let end = lines.pop().unwrap_or_default();
        wait::ensure(end.starts_with("{\"offsets\":"), || format!("{topic}: it ends with {end}"))?;
        lines.into_iter().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    fn topics(&self, arguments: &[&str]) -> Result<String> {
        done(java(&["classes"]).arg("Topics").args(arguments).output()?)
    }

    /// From here on it went well: no log is printed on drop.
    pub fn quiet(&mut self) {
        self.process.quiet();
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        // It has nothing to save, and would take its time to stop.
        let _ = self.process.kill();
    }
}

fn free_ports() -> Result<[u16; 3]> {
    let listeners = [0; 3].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(listeners) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}

/// Java with Kafka's jars, and what else there is in its directory.
fn java(more: &[&str]) -> Command {
    let kafka = paths::kafka();
    let mut path = format!("{}/jars/*", kafka.display());
    for name in more {
        let _ = write!(path, ":{}/{name}", kafka.display());
    }
    let mut command = Command::new("java");
    // Quick to start, and small.
    command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &path]);
    command
}

fn run(dir: &Path) -> Result<Process> {
    Process::start("kafka", dir, java(&[]).arg("kafka.Kafka").arg(dir.join("server.properties")))
}

fn done(output: Output) -> Result<String> {
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        return Err(format!("java: {}: {said}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Key and certificate of the broker, as it takes them; returns the certificate.
fn certificate(dir: &Path) -> Result<String> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()])?;
    parameters.subject_alt_names.push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
    let certificate = parameters.self_signed(&key)?.pem();
    fs::write(dir.join("keystore.pem"), key.serialize_pem() + &certificate)?;
    Ok(certificate)
}

fn properties(dir: &Path, [plain, secure, controller]: [u16; 3]) -> Result<String> {
    let (log, keystore) = (dir.join("log"), dir.join("keystore.pem"));
    Ok(format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAIN://127.0.0.1:{plain},SECURE://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAIN://127.0.0.1:{plain},SECURE://127.0.0.1:{secure}\n\
         listener.security.protocol.map=PLAIN:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=PLAIN\n\
         controller.listener.names=CONTROLLER\n\
         sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN\n\
         listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
         listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";\n\
         ssl.keystore.type=PEM\n\
         ssl.keystore.location={}\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS\n\
         log.dirs={}\n\
         auto.create.topics.enable=false\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         num.network.threads=2\n\
         num.io.threads=2\n",
        keystore.display(),
        log.display()
    ))
}
