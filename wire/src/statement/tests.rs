use super::*;

const EMITTER: &str = "00112233445566778899aabbccddeeff";

fn drop(first: u64, last: u64, reason: Reason) -> DroppedRange {
    DroppedRange { first, last, reason }
}

fn statement() -> Statement {
    let drops = vec![drop(5, 9, Reason::Full), drop(10, 10, Reason::Refused), drop(12, 12, Reason::Full)];
    Statement { emitter: EMITTER.into(), head: 40, dropped: 9, drops, ended: true }
}

fn problem(text: &str) -> String {
    text.parse::<Statement>().unwrap_err().to_string()
}

cases! {
    fn contract_a_statement_is_written_like_this_and_reads_back() {
        let full = statement();
        let written = format!("{EMITTER}; head=40; dropped=9; drops=5-9:full,10-10:refused,12-12:full; end");
        assert_eq!(full.to_string(), written);
        assert_eq!(written.parse(), Ok(full.clone()));
        let short = Statement { drops: Vec::new(), ended: false, ..full.clone() };
        assert_eq!(short.to_string(), format!("{EMITTER}; head=40; dropped=9"));
        assert_eq!(short.to_string().parse(), Ok(short.clone()));
        let ended = Statement { ended: true, ..short };
        assert_eq!(ended.to_string().parse(), Ok(ended.clone()));
        let without_calls = Statement { head: 0, dropped: 0, ..ended };
        assert_eq!(without_calls.to_string().parse(), Ok(without_calls));
    }

    fn contract_a_wrong_statement_names_the_item_and_what_is_allowed() {
        let order = "meshmeter-emitter: must be the emitter; head=N; dropped=N; and perhaps drops=RANGES; and perhaps end, in this order, nothing else, each after \"; \"";
        let emitter = "meshmeter-emitter: must begin with 32 lower-case hex digits, the emitter";
        let head = "meshmeter-emitter.head: must be a whole number from 1 to 9007199254740991";
        let dropped = "meshmeter-emitter.dropped: must be a whole number from 0 to 40";
        let drops = "meshmeter-emitter.drops: must be ranges FIRST-LAST:REASON with commas between, ascending, apart, up to head, REASON one of full, refused";
        let many = "meshmeter-emitter.drops: must name no more numbers than dropped counts";
        for (behind, expected) in [
            ("", head), ("; ", head), ("; head", head), ("; head=", head), ("; head=0; dropped=0", head), ("; head=0; dropped=1; end", &dropped.replace("40", "0")),
            ("; head=-1; dropped=0", head), ("; head=+1; dropped=0", head), ("; head=01; dropped=0", head), ("; head=1 ; dropped=0", head),
            ("; head=9007199254740992; dropped=0", head), ("; head=99999999999999999999; dropped=0", head), (";head=1; dropped=0", emitter),
            ("; dropped=0; head=1", head), ("; head=40", dropped), ("; head=40; dropped=41", dropped), ("; head=40; dropped=x", dropped),
            ("; head=40; dropped=1; drops=", drops), ("; head=40; dropped=1; drops=1-1:lost", drops), ("; head=40; dropped=1; drops=1:full", drops),
            ("; head=40; dropped=1; drops=0-0:full", drops), ("; head=40; dropped=9; drops=2-1:full", drops), ("; head=40; dropped=9; drops=41-41:full", drops),
            ("; head=40; dropped=9; drops=1-2:full,2-3:full", drops), ("; head=40; dropped=9; drops=3-3:full,1-1:full", drops),
            ("; head=40; dropped=9; drops=1-1:full,", drops), ("; head=40; dropped=9; drops=1-1:full, 2-2:full", drops),
            ("; head=40; dropped=1; drops=1-2:full", many), ("; head=40; dropped=1; end; end", order), ("; head=40; dropped=1; end; drops=1-1:full", order),
            ("; head=40; dropped=1; later=1", order), ("; head=40; dropped=1;end", dropped), ("; head=40; dropped=1; END", order), ("; head=40; dropped=1; ", order),
        ] {
            assert_eq!(problem(&format!("{EMITTER}{behind}")), expected, "{behind:?}");
        }
        for wrong in ["", "00112233445566778899AABBCCDDEEFF; head=1; dropped=0", "0011; head=1; dropped=0", "\u{1F600}; head=1; dropped=0"] {
            assert_eq!(problem(wrong), emitter, "{wrong:?}");
        }
    }

    fn contract_a_statement_is_bounded() {
        let most = MAX_SEQUENCE - 2 * MAX_DROPS as u64;
        let drops: Vec<DroppedRange> = (0..=MAX_DROPS as u64).map(|n| drop(most + 2 * n - 1, most + 2 * n - 1, Reason::Refused)).collect();
        let full = Statement { head: MAX_SEQUENCE, dropped: MAX_SEQUENCE, drops, ..statement() };
        let text = full.to_string();
        assert!(text.len() <= MAX_LENGTH, "{}", text.len());
        let read: Statement = text.parse().unwrap();
        assert_eq!(read.drops, full.drops[..MAX_DROPS], "what does not fit is told by the count alone");
        let one_more = text.replace("; end", &format!(",{}; end", full.drops[MAX_DROPS]));
        assert_eq!(problem(&one_more), "meshmeter-emitter.drops: must be at most 64 ranges");
        let long = format!("{EMITTER}; head=1; dropped=0; {}", "x".repeat(MAX_LENGTH));
        assert_eq!(problem(&long), "meshmeter-emitter: must be at most 4096 bytes");
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    fn any_statement() -> impl Strategy<Value = Statement> {
        let drops = prop::collection::vec((1u64..1 << 40, 0u64..1 << 40, any::<bool>()), 0..=MAX_DROPS);
        ("[0-9a-f]{32}", drops, 1u64..1 << 50, any::<u64>(), any::<bool>()).prop_map(
            |(emitter, steps, more, unnamed, ended)| {
                let (mut drops, mut last) = (Vec::new(), 0);
                for (gap, length, full) in steps {
                    let first = last + gap;
                    last = first + length;
                    drops.push(drop(first, last, if full { Reason::Full } else { Reason::Refused }));
                }
                let (head, named) = (last + more, drops.iter().map(DroppedRange::count).sum::<u64>());
                Statement { emitter, head, dropped: named + unnamed % (head - named + 1), drops, ended }
            },
        )
    }

    proptest! {
        #![proptest_config(cases::properties())]

        #[test]
        fn deterministic_what_is_written_is_read(statement in any_statement()) {
            prop_assert_eq!(statement.to_string().parse(), Ok(statement));
        }

        #[test]
        fn contract_what_is_read_is_what_would_be_written(
            mut bytes in any_statement().prop_map(|statement| statement.to_string().into_bytes()),
            at in any::<prop::sample::Index>(),
            with in any::<u8>(),
            cut in any::<bool>(),
        ) {
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = with }
            if let Ok(text) = std::str::from_utf8(&bytes) && let Ok(read) = text.parse::<Statement>() {
                prop_assert_eq!(read.to_string(), text);
            }
        }

        #[test]
        fn contract_no_text_is_a_crash(text in ".{0,200}") {
            let _ = text.parse::<Statement>();
        }
    }
}
