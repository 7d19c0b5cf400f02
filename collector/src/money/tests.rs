use super::*;
use proptest::prelude::*;

#[test]
fn deterministic_prices_are_read_to_the_last_decimal() {
    let cases: [(&str, Result<u64, &str>); 17] = [
        ("0", Ok(0)),
        ("2", Ok(2_000_000_000_000)),
        ("2.50", Ok(2_500_000_000_000)),
        ("0.075", Ok(75_000_000_000)),
        ("0.000000001", Ok(1_000)),
        ("0.000000000001", Ok(1)),
        ("1000000", Ok(1_000_000_000_000_000_000)),
        ("0.0000000000001", Err("must have at most 12 decimals")),
        ("1000000.000000000001", Err("must be at most 1000000 USD")),
        ("99999999999999999999999", Err("must be at most 1000000 USD")),
        ("", Err("must be a decimal number of USD such as \"2.50\"")),
        (".5", Err("must be a decimal number of USD such as \"2.50\"")),
        ("5.", Err("must be a decimal number of USD such as \"2.50\"")),
        ("-1", Err("must be a decimal number of USD such as \"2.50\"")),
        ("1e3", Err("must be a decimal number of USD such as \"2.50\"")),
        ("1,5", Err("must be a decimal number of USD such as \"2.50\"")),
        ("1.2.3", Err("must be a decimal number of USD such as \"2.50\"")),
    ];
    for (text, expected) in cases {
        assert_eq!(Price::parse(text).map(Price::pico_usd), expected, "{text:?}");
    }
}

#[test]
fn deterministic_charges_are_exact_where_floats_are_not() {
    // 0.1 + 0.2 and 1/3-like sums: a float would show 0.30000000000000004.
    let cases: [(&str, i128, Per, &str); 10] = [
        ("2.00", 0, Per::MillionTokens, "0.00"),
        ("2.00", 1_000_000, Per::MillionTokens, "2.00"),
        ("2.00", 123, Per::MillionTokens, "0.000246"),
        ("0.075", 1, Per::MillionTokens, "0.000000075"),
        ("0.000000001", 1, Per::MillionTokens, "0.000000000000001"),
        ("0.000000000001", 1, Per::MillionTokens, "0.000000000000000001"),
        ("10.00", 3, Per::ThousandUnits, "0.03"),
        ("0.3", 3_333_333, Per::MillionTokens, "0.9999999"),
        ("2.00", -500_000, Per::MillionTokens, "-1.00"),
        ("1000000", 100_000_000_000_000, Per::MillionTokens, "100000000000000.00"),
    ];
    for (price, quantity, per, expected) in cases {
        let charge = Price::parse(price).unwrap().charge(quantity, per).unwrap();
        assert_eq!(charge.to_string(), expected, "{quantity} at {price}");
    }
}

#[test]
fn deterministic_a_half_is_rounded_away_from_zero_and_nothing_else_moves() {
    let cases = [
        ("0.004999999999999", 2, "0.00"),
        ("0.005", 2, "0.01"),
        ("0.015", 2, "0.02"),
        ("-0.005", 2, "-0.01"),
        ("-0.0049", 2, "0.00"),
        ("7.50", 0, "8.00"),
        ("0.1234565", 6, "0.123457"),
        ("0.000000000000000000000001", 24, "0.000000000000000000000001"),
        ("0.000000000000000000000001", 99, "0.000000000000000000000001"),
    ];
    for (amount, decimals, expected) in cases {
        let rounded = amount.parse::<Charge>().unwrap().rounded(decimals);
        assert_eq!(rounded.map(|charge| charge.to_string()).as_deref(), Some(expected), "{amount}");
    }
    assert_eq!(Charge(i128::MAX).rounded(2), None);
}

#[test]
fn deterministic_what_does_not_fit_is_refused_not_wrapped() {
    let highest = Price::parse("1000000").unwrap();
    assert_eq!(highest.charge(i128::MAX, Per::MillionTokens), None);
    assert_eq!(highest.of(u64::MAX, Per::ThousandUnits), None);
    assert!(highest.of(1 << 40, Per::MillionTokens).is_some());
    assert!(Price::parse("100000").unwrap().of(1 << 40, Per::ThousandUnits).is_some());
    assert_eq!(Charge(i128::MAX).checked_add(Charge(1)), None);
    assert_eq!(Charge(i128::MIN).checked_sub(Charge(1)), None);
    assert_eq!(Charge(i128::MIN).checked_neg(), None);
    assert_eq!(Charge::from_femto_usd(i128::MAX), None);
    assert_eq!(Charge(5).checked_neg().and_then(|back| back.checked_add(Charge(5))), Some(Charge(0)));
    assert_eq!(Charge(i128::MIN).to_string(), "-170141183460469.231731687303715884105728");
}

#[test]
fn contract_a_charge_is_a_decimal_number_and_nothing_else() {
    let form = Err("must be a decimal number of USD such as \"2.50\", with at most 24 decimals");
    let cases = [
        ("2", Ok(Charge(2_000_000_000_000_000_000_000_000))),
        ("-0.000000000000000000000001", Ok(Charge(-1))),
        // As ledgers have it that were written when a charge had 15 decimals.
        ("-0.000000000000001", Ok(Charge(-1_000_000_000))),
        ("9223372036854.775807", Ok(Charge(9_223_372_036_854_775_807_000_000_000_000_000_000))),
        ("-0.00", Ok(Charge(0))),
        ("0.0000000000000000000000001", form),
        ("+1", form),
        ("--1", form),
        ("1e3", form),
        ("", form),
        ("-", form),
        ("-170141183460469.231731687303715884105728", Ok(Charge(i128::MIN))),
        ("170141183460469.231731687303715884105728", Err("must fit in 128 bits")),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Charge>(), expected, "{text:?}");
    }
}

#[test]
fn contract_a_factor_is_a_decimal_number_above_nothing_and_at_most_a_thousand() {
    let form = Err("must be a decimal number such as \"1.1\"".to_owned());
    let range = Err("must be above 0 and at most 1000".to_owned());
    let cases = [
        ("1", Ok("1".to_owned())),
        ("1.10", Ok("1.1".to_owned())),
        ("0.0001", Ok("0.0001".to_owned())),
        ("0.85000", Ok("0.85".to_owned())),
        ("1000.0", Ok("1000".to_owned())),
        ("12.0305", Ok("12.0305".to_owned())),
        ("1000.0001", range.clone()),
        ("0", range.clone()),
        ("0.0000", range.clone()),
        ("99999999999999999999", range),
        ("0.00001", Err("must have at most 4 decimals".to_owned())),
        ("-1", form.clone()),
        ("1.", form.clone()),
        ("", form.clone()),
        ("1e1", form),
    ];
    for (text, expected) in cases {
        assert_eq!(Factor::parse(text).map(|factor| factor.to_string()).map_err(str::to_owned), expected, "{text:?}");
    }
}

#[test]
fn deterministic_prices_times_factors_are_rounded_once_and_amounts_never() {
    let price = |text: &str| Price::parse(text).unwrap();
    let factor = |text: &str| Factor::parse(text).unwrap();
    let times = |text: &str, factors: &[&str]| {
        price(text).times(factors.iter().map(|text| factor(text))).map(|price| price.to_string()).unwrap_or_default()
    };
    assert_eq!(times("2.00", &[]), "2.00");
    assert_eq!(times("2.00", &["1.1", "0.5"]), "1.10");
    assert_eq!(times("0.000000000001", &["0.5"]), "0.000000000001");
    assert_eq!(times("0.000000000001", &["0.4999"]), "0.00");
    // Rounded once: half of half of three is 0.75, not half of two.
    assert_eq!(times("0.000000000003", &["0.5", "0.5"]), "0.000000000001");
    assert_eq!(times("1000000", &["1.0001"]), "");
    assert_eq!(times("1000000", &["1000"; 30]), "");
    assert_eq!(price("7").converted(price("0.1389")), Some(price("0.9723")));
    assert_eq!(price("0.000000000001").converted(price("0.5")), Some(price("0.000000000001")));
    assert_eq!(price("1000000").converted(price("2")), None);
    let charge = |text: &str| text.parse::<Charge>().unwrap();
    assert_eq!(charge("0.0001").times(factor("0.85")), Some(charge("0.000085")));
    assert_eq!(charge("0.000000000000000000000001").times(factor("0.85")), None);
    assert_eq!(Charge::MAX.times(factor("1.1")), None);
}

proptest! {
    #[test]
    fn deterministic_a_price_written_out_is_read_back(pico in 0..=1_000_000_000_000_000_000_u64) {
        let text = format!("{}.{:012}", pico / 1_000_000_000_000, pico % 1_000_000_000_000);
        prop_assert_eq!(Price::parse(&text).map(Price::pico_usd), Ok(pico));
        prop_assert_eq!(Price::parse(&Price(pico).to_string()), Ok(Price(pico)));
    }

    #[test]
    fn deterministic_a_charge_shown_is_read_back(yocto: i128, small in -10_000_i128..10_000) {
        for charge in [Charge(yocto), Charge(small), Charge(i128::MIN), Charge(i128::MAX)] {
            prop_assert_eq!(charge.to_string().parse(), Ok(charge));
        }
    }

    #[test]
    fn deterministic_a_count_is_charged_as_a_quantity_is(pico in 0..=1_000_000_000_000_000_000_u64, count: u64) {
        for per in [Per::MillionTokens, Per::ThousandUnits] {
            prop_assert_eq!(Price(pico).of(count, per), Price(pico).charge(i128::from(count), per));
        }
    }

    #[test]
    fn deterministic_charging_in_parts_is_charging_at_once(
        pico in 0..=1_000_000_000_000_000_u64, parts in prop::collection::vec(0..=1_i128 << 40, 1..20)
    ) {
        let price = Price(pico);
        let at_once = price.charge(parts.iter().sum(), Per::MillionTokens);
        let in_parts = parts.iter().try_fold(Charge::default(), |sum, part| {
            sum.checked_add(price.charge(*part, Per::MillionTokens)?)
        });
        prop_assert_eq!(at_once, in_parts);
    }

    /// Against the same sum in whole numbers: price times all mantissas, divided once.
    #[test]
    fn deterministic_factors_multiply_as_whole_numbers_do(
        pico in 0..=1_000_000_000_000_u64, factors in prop::collection::vec(1..=20_000_u64, 0..4), count in 0..1_u64 << 40
    ) {
        let parsed: Vec<Factor> =
            factors.iter().map(|f| Factor::parse(&format!("{}.{:04}", f / 10_000, f % 10_000)).unwrap()).collect();
        let one = 10_u128.pow(4 * factors.len() as u32);
        let product = factors.iter().fold(u128::from(pico), |product, factor| product * u128::from(*factor));
        let price = Price(pico).times(parsed.iter().copied());
        prop_assert_eq!(price.map(|price| u128::from(price.pico_usd())), Some((product + one / 2) / one));
        // An amount is multiplied exactly, in any order, or not at all.
        let amount = Price(pico).of(count, Per::MillionTokens).unwrap();
        let forward = parsed.iter().try_fold(amount, |amount, factor| amount.times(*factor));
        if let Some(charge) = forward {
            let yocto = factors.iter().fold(amount.yocto_usd(), |yocto, factor| yocto.saturating_mul((*factor).into()));
            if yocto != i128::MAX {
                prop_assert_eq!(charge.yocto_usd() * one as i128, yocto);
            }
        }
    }
}
