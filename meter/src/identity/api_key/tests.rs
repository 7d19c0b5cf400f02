use super::*;

const SECRET: &str = "a-secret-of-a-test-0451";

/// Headers of a request.
struct Headers(Vec<(&'static str, Vec<u8>)>);

impl Caller for Headers {
    fn certificate(&self) -> Shown {
        Shown::Nothing
    }
    fn own_certificate(&self) -> Option<Vec<u8>> {
        None
    }
    fn claim(&self, _: &str, _: &[String]) -> Shown {
        Shown::Nothing
    }
    fn header(&self, name: &str) -> Shown {
        match self.0.iter().filter(|(known, _)| *known == name).collect::<Vec<_>>().as_slice() {
            [] => Shown::Nothing,
            [(_, value)] => Shown::Value(value.clone()),
            _ => Shown::Unusable(Refusal::RepeatedHeader),
        }
    }
}

fn keys(secret: Option<&str>) -> ApiKeys {
    let of = |key: &str| HashKey::new(SECRET).unwrap().hash(key.as_bytes()).unwrap();
    let mut tenants = vec![(of("sk-acme"), "acme".to_owned()), (of("sk-globex"), "org/globex".to_owned())];
    tenants.sort();
    ApiKeys {
        headers: ["authorization", "x-api-key"].map(str::to_owned).to_vec(),
        secret_env: "S".to_owned(),
        hash_key: secret.and_then(HashKey::new),
        tenants,
    }
}

fn run(headers: &[(&'static str, &str)]) -> Result<Option<String>, Refusal> {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
    keys(Some(SECRET)).tenant(&Headers(headers))
}

cases! {
    /// RFC 4231, test case 4 (its secret is long enough), and what `openssl dgst -sha256 -hmac` says.
    fn deterministic_the_hash_is_hmac_sha256() {
        let secret: String = (1..=25u8).map(char::from).collect();
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        let hash = HashKey(mac).hash(&[0xcd; 50]).unwrap().to_string();
        assert_eq!(hash, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
        assert_eq!(Hash::parse(&hash).unwrap().to_string(), hash);
    }

    fn contract_a_hash_is_64_hexadecimal_digits_in_lower_case() {
        let good = "0".repeat(64);
        assert!(Hash::parse(&good).is_some());
        for bad in ["", "0", &good[1..], &"0".repeat(66), &"A".repeat(64), &"g".repeat(64), &"\u{e4}".repeat(32)] {
            assert_eq!(Hash::parse(bad), None, "{bad}");
        }
    }

    fn contract_a_short_secret_is_none() {
        assert!(HashKey::new(" 0123456789abcdef\n").is_some());
        for short in ["", "0123456789abcde", " 0123456789abcde "] {
            assert!(HashKey::new(short).is_none(), "{short}");
        }
        let (bare, spaced) = (HashKey::new("0123456789abcdef").unwrap(), HashKey::new(" 0123456789abcdef\n").unwrap());
        assert_eq!(bare.hash(b"x"), spaced.hash(b"x"));
        assert_eq!(format!("{bare:?}"), "HashKey", "it is never shown");
    }

    fn deterministic_a_known_key_names_its_tenant() {
        assert_eq!(run(&[("authorization", "Bearer sk-acme")]), Ok(Some("acme".into())));
        assert_eq!(run(&[("authorization", "bearer  sk-acme ")]), Ok(Some("acme".into())));
        assert_eq!(run(&[("x-api-key", "sk-globex")]), Ok(Some("org/globex".into())));
        assert_eq!(run(&[]), Ok(None));
        // No API key: AWS signs with one instead.
        assert_eq!(run(&[("authorization", "AWS4-HMAC-SHA256 Credential=sk-acme")]), Ok(None));
        assert_eq!(run(&[("authorization", "sk-acme")]), Ok(None));
    }

    fn contract_keys_that_are_not_known_or_not_one_name_nobody() {
        assert_eq!(run(&[("x-api-key", "sk-eve")]), Err(Refusal::UnknownKey));
        assert_eq!(run(&[("x-api-key", "sk-acme2")]), Err(Refusal::UnknownKey));
        assert_eq!(run(&[("x-api-key", "Bearer sk-acme")]), Err(Refusal::UnknownKey));
        assert_eq!(run(&[("x-api-key", "")]), Err(Refusal::InvalidValue));
        assert_eq!(run(&[("x-api-key", &"k".repeat(513))]), Err(Refusal::InvalidValue));
        assert_eq!(run(&[("x-api-key", "sk-acme"), ("x-api-key", "sk-acme")]), Err(Refusal::RepeatedHeader));
        for second in ["sk-acme", "sk-globex", "sk-eve"] {
            let both = [("authorization", "Bearer sk-acme"), ("x-api-key", second)];
            assert_eq!(run(&both), Err(Refusal::SeveralKeys), "{second}");
        }
        let hash = HashKey::new(SECRET).unwrap().hash(b"sk-acme").unwrap().to_string();
        assert_eq!(run(&[("x-api-key", &hash)]), Err(Refusal::UnknownKey), "the configuration's text is no key");
    }

    fn contract_without_the_secret_no_key_is_known() {
        let headers = || Headers(vec![("x-api-key", b"sk-acme".to_vec())]);
        assert_eq!(keys(None).tenant(&headers()), Err(Refusal::NoHashKey));
        assert_eq!(keys(Some("another-secret-0451")).tenant(&headers()), Err(Refusal::UnknownKey));
        assert_eq!(keys(None).tenant(&Headers(vec![])), Ok(None));
    }
}
