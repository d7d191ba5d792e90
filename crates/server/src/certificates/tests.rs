use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    CrlDistributionPoint, CrlIssuingDistributionPoint, DnType, IsCa, KeyIdMethod, KeyPair,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use teep_cose::x509::CertificateProblem;

use super::*;

/// An authority that has a revocation list for each of two parts of its certificates, with the files.
struct Partitioned {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Partitioned {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Makers");
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        let new = Self {
            authority,
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(new.file("makers.pem"), new.authority.pem()).unwrap();
        new
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn point(part: u8) -> CrlDistributionPoint {
        CrlDistributionPoint {
            uris: vec![format!("http://makers.example/{part}.crl")],
        }
    }

    fn certify(&self, part: u8) -> Certificate {
        let mut params = CertificateParams::new([]).unwrap();
        params.serial_number = Some(SerialNumber::from(vec![part]));
        params.crl_distribution_points = vec![Self::point(part)];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        Certificate::from_der(certificate.der()).unwrap()
    }

    /// The list of a part, which names its certificate and is over with a year.
    fn list(&self, part: u8, end: i32) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(vec![part]),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            // One part is renewed later than the other.
            this_update: date_time_ymd(2020, 1, 1 + part),
            next_update: date_time_ymd(end, 1, 1),
            crl_number: SerialNumber::from(vec![1]),
            issuing_distribution_point: Some(CrlIssuingDistributionPoint {
                distribution_point: Self::point(part),
                scope: None,
            }),
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.authority).unwrap();
        list.pem().unwrap()
    }

    fn config(&self) -> Config {
        Config {
            agent_authorities: vec![self.file("makers.pem")],
            revocation_lists: vec![self.file("makers.crl")],
            ..Config::in_folder(self.folder.path())
        }
    }
}

fn is_revoked(authorities: &TrustAnchors, certificate: &Certificate) -> bool {
    let chain = std::slice::from_ref(certificate);
    match authorities.trace(chain, Time::Is(now()), Purpose::Message) {
        Ok(_) => false,
        Err(SignatureError::Certificate(error)) => {
            assert_eq!(error.problem, CertificateProblem::Revoked);
            true
        }
        Err(error) => panic!("{error}"),
    }
}

/// Proves: A-20
#[test]
fn each_part_of_an_authoritys_revocation_list_counts() {
    let makers = Partitioned::new();
    let certificates = [1, 2].map(|part| makers.certify(part));
    fs::write(makers.file("makers.crl"), makers.list(1, 2999)).unwrap();
    let authorities = AgentAuthorities::open(&makers.config()).unwrap();
    let current = authorities.current();
    assert!(is_revoked(&current, &certificates[0]) && !is_revoked(&current, &certificates[1]));

    let both = [1, 2].map(|part| makers.list(part, 2999)).concat();
    fs::write(makers.file("makers.crl"), both).unwrap();
    let authorities = AgentAuthorities::open(&makers.config()).unwrap();
    for certificate in &certificates {
        assert!(is_revoked(&authorities.current(), certificate));
    }
}

/// Proves: A-20
#[test]
fn files_that_could_not_be_read_are_tried_again_until_they_can() {
    let makers = Partitioned::new();
    let config = makers.config();
    let certificate = makers.certify(2);
    fs::write(makers.file("makers.crl"), makers.list(1, 2999)).unwrap();
    let authorities = AgentAuthorities::open(&config).unwrap();
    let a_second_later = || {
        let mut last = authorities.read.lock().unwrap();
        last.looked = last.looked.checked_sub(2 * PAUSE).unwrap();
        drop(last);
        authorities.current()
    };
    fs::write(makers.file("makers.crl"), "half a list").unwrap();
    assert!(!is_revoked(&a_second_later(), &certificate));
    // What failed was not seen: the next look finds it changed still, whatever the file system says of its time.
    let seen = authorities.read.lock().unwrap().stamps.clone();
    assert_ne!(
        seen,
        stamps(&config.agent_authorities, &config.revocation_lists)
    );
    fs::write(makers.file("makers.crl"), makers.list(2, 2999)).unwrap();
    assert!(is_revoked(&a_second_later(), &certificate));
}

#[test]
fn a_list_is_told_of_once_when_its_time_ends() {
    let makers = Partitioned::new();
    let both = makers.list(1, 2021) + &makers.list(2, 2999);
    fs::write(makers.file("makers.crl"), both).unwrap();
    let authorities = AgentAuthorities::open(&makers.config()).unwrap().current();
    let end = 1_609_459_200;
    let count = |times| ended(&authorities, times).count();
    assert_eq!(count(0..now()), 1);
    assert_eq!(
        (count(0..end), count(end..end + 1), count(end + 1..now())),
        (0, 1, 0)
    );
}
