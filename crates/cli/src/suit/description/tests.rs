use std::fs;

use super::*;
use proptest::prelude::*;
use suit::{Envelope, Limits, Section, SuitDigest};
use teep_cose::encrypt::{Curve, DecryptionKey, Encrypted, KeyEncryptionKey, Purpose};
use teep_cose::mac::ReceivedMac0;
use teep_cose::{Algorithm, cbor};

use crate::key::system_random;

const SIMPLE: &str = include_str!("simple.toml");
const EVERYTHING: &str = include_str!("everything.toml");

/// A folder with everything that the descriptions of the help name.
struct Folder {
    folder: tempfile::TempDir,
    device: DecryptionKey,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let random = &mut system_random();
        let signer = SigningKey::generate(Algorithm::Esp256, random);
        let device = DecryptionKey::generate(Curve::P256, random);
        let this = Self { folder, device };
        this.put("signer.pem", signer.to_pem().as_bytes());
        let public = this.device.public_key().unwrap().to_pem();
        this.put("device.pem.pub", public.as_bytes());
        this.put("mac.key", format!("{}\n", "07".repeat(32)).as_bytes());
        this.put("kek.key", format!("{}\n", "09".repeat(16)).as_bytes());
        this.put("counter.wasm", &[b'w'; 300]);
        this.put("configuration.json", b"{}");
        this.put("secret.json", SECRET);
        this.put("library.toml", SIMPLE.as_bytes());
        let library = this.build("library.toml").unwrap();
        this.put("library.suit", &library.envelope);
        this
    }

    fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn build(&self, name: &str) -> Result<Built, Failure> {
        build(
            &self.folder.path().join(name),
            Signers::AndThese(vec![]),
            &[],
        )
    }

    /// What is said of `description` with `from` replaced.
    fn fault(&self, description: &str, from: &str, to: &str) -> String {
        let changed = description.replacen(from, to, 1);
        assert_ne!(changed, description, "{from}");
        self.put("changed.toml", changed.as_bytes());
        let message = self.build("changed.toml").unwrap_err().to_string();
        let (_, message) = message.split_once("changed.toml:").unwrap();
        message.to_owned()
    }
}

const SECRET: &[u8] = br#"{"secret":"0123456789"}"#;

#[test]
fn the_simple_description_of_the_help_is_built() {
    let folder = Folder::new();
    let built = folder.build("library.toml").unwrap();
    assert_eq!((built.sequence_number, built.files.len()), (3, 0));
    let envelope = Envelope::decode(&built.envelope, &Limits::DEFAULT).unwrap();
    assert_eq!(envelope.payload("#counter"), Some(&[b'w'; 300][..]));
    let manifest = envelope.unverified_manifest().unwrap();
    assert!(manifest.validate.is_some() && manifest.uninstall.is_some());
}

#[test]
fn everything_that_the_help_describes_is_built() {
    let folder = Folder::new();
    folder.put("everything.toml", EVERYTHING.as_bytes());
    let built = folder.build("everything.toml").unwrap();
    let envelope = Envelope::decode(&built.envelope, &Limits::DEFAULT).unwrap();
    let signer = fs::read_to_string(folder.folder.path().join("signer.pem")).unwrap();
    let signer = SigningKey::from_pem(&signer).unwrap().public_key();
    let trusted = [signer].into_iter().collect();
    let authenticated = envelope.verify(&trusted).unwrap();
    let manifest = authenticated.manifest();
    assert_eq!(manifest.set_version, Some(vec![1, 2, 0, -1, 1]));
    let components = &manifest.common.components;
    assert_eq!(components.len(), 7, "five, a ciphertext, a dependency");
    assert_eq!(manifest.common.dependencies[0].index, 6);
    assert!(
        authenticated
            .section(Section::PayloadFetch)
            .unwrap()
            .is_some()
    );

    let text = authenticated.text().unwrap().unwrap();
    assert_eq!(text.language("de").unwrap().manifest[0].1, "Ein Zähler");
    let english = text.language("en").unwrap();
    assert_eq!(
        (english.manifest.len(), english.components[0].1.len()),
        (2, 8)
    );
    assert_eq!(english.components[0].0, components[0]);

    let [_, mac] = envelope.blocks() else {
        panic!("a signature and a MAC");
    };
    let mac = ReceivedMac0::decode(mac, &cbor::Limits::MESSAGE).unwrap();
    let digest = envelope.digest().to_bytes();
    let key = MacKey::new([7; 32]);
    assert_eq!(mac.verify_detached(&digest, &key), Ok(()));

    let [ciphertext] = &built.files[..] else {
        panic!("{:?}", built.files);
    };
    assert_eq!(ciphertext.path, folder.folder.path().join("model.enc"));
    let digest = SuitDigest::sha256(&ciphertext.content);
    let uri = format!("https://example.org/{digest}.enc");
    let is_uri = |bytes: &[u8]| bytes == uri.as_bytes();
    assert!(built.envelope.windows(uri.len()).any(is_uri), "{uri}");
    let install = authenticated.section(Section::Install).unwrap().unwrap();
    let parameters = install
        .iter()
        .filter_map(|command| match command.unwrap().1 {
            suit::Command::OverrideParameters(parameters) => Some(parameters),
            _ => None,
        });
    let parameters: Vec<_> = parameters.filter(|p| p.find(19).is_some()).collect();
    let [inline, fetched] = &parameters[..] else {
        panic!("{parameters:?}");
    };
    let suit::Parameter::Content(content) = inline.find(18).unwrap() else {
        panic!("{inline:?}");
    };
    let shared = DecryptionKey::kek(KeyEncryptionKey::new(&[9; 16]).unwrap());
    for key in [&folder.device, &shared] {
        assert_eq!(decrypt(key, inline, content), SECRET);
    }
    let image = decrypt(&folder.device, fetched, &ciphertext.content);
    assert_eq!(image, [b'w'; 300]);
}

fn decrypt(key: &DecryptionKey, parameters: &suit::Parameters<'_>, ciphertext: &[u8]) -> Vec<u8> {
    let Some(suit::Parameter::EncryptionInfo(info)) = parameters.find(19) else {
        panic!("{parameters:?}");
    };
    let received = Encrypted::decode(info, &cbor::Limits::MESSAGE).unwrap();
    let purpose = Purpose::PayloadEncryption;
    let key = received
        .content_key(std::slice::from_ref(key), purpose)
        .unwrap();
    let mut decryptor = received.decryptor(&key).unwrap();
    let mut plaintext = Vec::new();
    decryptor.update(ciphertext, &mut plaintext);
    decryptor.finish(&mut plaintext).unwrap();
    plaintext
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let folder = Folder::new();
    let line = |text: &str| {
        let before = EVERYTHING.split_once(text).unwrap().0;
        before.matches('\n').count() + 1
    };
    for (from, to, key, says) in [
        (
            "version = \"1.2.0-rc.1\"",
            "version = \"one\"",
            "version: ",
            "1.2.3",
        ),
        (
            "vendor-id = \"c0",
            "vendor-id = \"x0",
            "vendor-id: ",
            "UUID",
        ),
        (
            "device-id = \"7b",
            "device-id = \"x\" # ",
            "device-id: ",
            "UUID",
        ),
        (
            "\"install\", \"text\"]",
            "\"everything\"]",
            "unknown variant",
            "payload-fetch",
        ),
        (
            "\"record-success\"",
            "\"all\"",
            "unknown variant",
            "record-success",
        ),
        (
            "mac-keys = [\"mac.key\"]",
            "mac-keys = [\"kek.key\"]",
            "mac-keys: ",
            "64 digits",
        ),
        (
            "mac-keys = [\"mac.key\"]",
            "mac-keys = [\"signer.pem\"]",
            "mac-keys: ",
            "openssl rand",
        ),
        (
            "use-before = 2030-01-01T00:00:00Z",
            "use-before = 2030-01-01",
            "conditions.use-before: ",
            "2030",
        ),
        (
            "version = \">=1.0\"\n[",
            "version = \"1.0\"\n[",
            "conditions.version: ",
            ">=1.2.3",
        ),
        (
            "time-of-day = 03:00:00",
            "time-of-day = 2030-01-01",
            "wait.time-of-day: ",
            "03:00:00",
        ),
        (
            "day-of-week = \"sunday\"",
            "day-of-week = \"someday\"",
            "unknown variant",
            "monday",
        ),
        (
            "id = \"0x01ab\", ",
            "id = \"01ab\", ",
            "not hexadecimal",
            "0x",
        ),
        (
            "algorithm = \"A128CTR\"",
            "algorithm = \"AES\"",
            "component.encrypt.algorithm: ",
            "A128GCM",
        ),
        (
            "recipients = [\"device.pem.pub\"]",
            "recipients = [\"mac.key\"]",
            "component.encrypt.recipients: ",
            "PEM",
        ),
        (
            "[\"kek.key\"]",
            "[\"secret.json\"]",
            "component.encrypt.key-encryption-keys: ",
            "hexadecimal",
        ),
        (
            "id = \"TEEP-Device/library/suit\"",
            "id = \"\"",
            "dependency.id: ",
            "empty",
        ),
        (
            "envelope = \"library.suit\"",
            "envelope = \"mac.key\"",
            "dependency.envelope: ",
            "suit-envelope",
        ),
        (
            "prefix = \"library\"",
            "prefix = \"a//b\"",
            "dependency.prefix: ",
            "segments",
        ),
    ] {
        let message = folder.fault(EVERYTHING, from, to);
        let expected = format!("{}: ", line(from.split('\n').next().unwrap()));
        assert!(message.starts_with(&expected), "{expected} in {message}");
        assert!(message.contains(key) && message.contains(says), "{message}");
    }
    for (from, to, key, says) in [
        // What belongs to another way to get an image.
        (
            "uri = \"https://example.org/counter.wasm\"",
            "",
            "component.uri: ",
            "inline = true",
        ),
        (
            "uri = \"https://example.org/counter.wasm\"",
            "uri = \"#c\"\ninline = true",
            "component.uri: ",
            "not fetched",
        ),
        (
            "payload = \"configuration.json\"",
            "",
            "component.payload: ",
            "file",
        ),
        (
            "[[component.slot]]",
            "inline = true\n[[component.slot]]",
            "component.slot: ",
            "leave out",
        ),
        (
            "ciphertext = \"model.enc\"",
            "",
            "component.encrypt.ciphertext: ",
            "published",
        ),
        (
            "https://example.org/{sha256}.enc",
            "#model",
            "component.encrypt.ciphertext: ",
            "leave it out",
        ),
        (
            "place = \"TEEP-Device/counter/model-ciphertext\"",
            "",
            "component.encrypt.place: ",
            "name the component",
        ),
        (
            "key-encryption-keys = [\"kek.key\"]",
            "place = \"x\"",
            "component.encrypt: ",
            "leave out",
        ),
        (
            "vendor-id",
            "vendor-domain = \"a\"\nvendor-id",
            "vendor-id: ",
            "leave out one",
        ),
        (
            "class-id",
            "class-name = \"a\"\nclass-id",
            "class-id: ",
            "leave out one",
        ),
        // What the builder refuses.
        (
            "model-ciphertext",
            "ta",
            "component TEEP-Device/counter/ta: ",
            "twice",
        ),
        (
            "TEEP-Device/library/suit",
            "TEEP-Device/counter/ta",
            "component TEEP-Device/counter/ta: ",
            "twice",
        ),
        (
            "slot = 1",
            "slot = 0",
            "component TEEP-Device/counter/firmware: ",
            "two slots",
        ),
        (
            "\"install\", \"text\"]",
            "\"text\", \"text\"]",
            "sever: suit-text ",
            "leave it out",
        ),
    ] {
        let message = folder.fault(EVERYTHING, from, to);
        assert!(message.contains(key) && message.contains(says), "{message}");
    }
    let nobody = EVERYTHING
        .replace("recipients = [\"device.pem.pub\"]\n", "")
        .replace("key-encryption-keys = [\"kek.key\"]\n", "");
    let message = folder.fault(&nobody, "# ", "#  ");
    assert!(
        message.contains("component.encrypt: ") && message.contains("recipients"),
        "{message}"
    );
}

proptest! {
    /// Wherever it is changed, and to whatever: it is built, or refused with the name of the file.
    #[test]
    fn a_changed_description_is_built_or_refused(
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..20_usize, fragment()), 1..4
        ),
    ) {
        static FOLDER: std::sync::LazyLock<Folder> = std::sync::LazyLock::new(Folder::new);
        let mut description: Vec<char> = EVERYTHING.chars().collect();
        for (at, removed, fragment) in changes {
            let at = at.index(description.len());
            let end = (at + removed).min(description.len());
            description.splice(at..end, fragment.chars());
        }
        let description: String = description.into_iter().collect();
        FOLDER.put("changed.toml", description.as_bytes());
        match FOLDER.build("changed.toml") {
            Ok(built) => {
                let envelope = Envelope::decode(&built.envelope, &Limits::DEFAULT);
                prop_assert!(envelope.unwrap().unverified_manifest().is_ok());
            }
            Err(error) => prop_assert!(error.to_string().contains("changed.toml"), "{error}"),
        }
    }
}

/// What a description is made of, and text that is nothing of it.
fn fragment() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 24] = [
        "\"",
        "\n",
        "[",
        "]]",
        "= ",
        "-1",
        "0",
        "18446744073709551615",
        "1e99",
        "1.2-rc.1",
        "0x",
        "2026-01-01T00:00:00Z",
        "9999-12-31T23:59:60Z",
        "23:59:59",
        "[[component]]\n",
        "[[dependency]]\n",
        "[wait]\n",
        "{sha256}",
        "\\u0000",
        "inline = true\n",
        "payload = \"counter.wasm\"\n",
        "slot = 0\n",
        "TEEP-Device/counter/ta",
        "\"#library\"",
    ];
    prop_oneof![
        prop::sample::select(&KNOWN[..]).prop_map(str::to_owned),
        "\\PC{0,12}",
        any::<char>().prop_map(String::from),
    ]
}
