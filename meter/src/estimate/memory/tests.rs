use super::*;
use crate::estimate::BYTES_A_TOKEN_MOST;
use crate::scan::Piece;

const SAMPLE: &str = "The quick brown fox jumps over the lazy dog. ";
const A: Key<'_> = Key { tenant: "a", provider: "openai", upstream: Some("openai"), model: "m" };
const B: Key<'_> = Key { tenant: "b", ..A };

fn text(content: &str, words: bool) -> Text {
    let mut text = Text::default();
    text.feed(Piece::of(content.as_bytes()), words);
    text
}

fn shown(ratios: &Ratios, key: &Key<'_>, text: &Text) -> u64 {
    ratios.output(Some(key), text, None).text
}

/// Entries, and how many of them are a tenant's.
fn entries(ratios: &Ratios, tenant: &str) -> (usize, usize) {
    let tenant = ratios.hasher.hash_one(tenant);
    let entries = ratios.sets.iter().flatten();
    (entries.clone().count(), entries.filter(|entry| entry.tenant == tenant).count())
}

cases! {
    fn deterministic_a_learned_ratio_beats_words_beats_bytes() {
        let sample = SAMPLE.repeat(10);
        let mut ratios = Ratios::default();
        assert_eq!(shown(&ratios, &A, &text(&sample, false)), 113);
        assert_eq!(shown(&ratios, &A, &text(&sample, true)), 100);
        ratios.learn_output(&A, &text(&sample, true), 225, 0);
        assert_eq!(shown(&ratios, &A, &text(SAMPLE, true)), 22);
        assert_eq!(ratios.input(Some(&A), &text(&sample, true)), 100, "each direction for itself");
        assert_eq!(ratios.output(None, &Text::default(), None), Output { text: 0, hidden: None });
    }

    fn deterministic_hidden_thoughts_are_learned_per_call() {
        let sample = "x".repeat(500);
        let mut ratios = Ratios::default();
        ratios.learn_output(&A, &text(&sample, true), 1100, 1000);
        ratios.learn_output(&A, &text(&sample, true), 2100, 2000);
        assert_eq!(ratios.output(Some(&A), &text(&sample, true), None), Output { text: 100, hidden: Some(1500) });
        let mut open = text(&sample, true);
        open.set_shows_thoughts();
        assert_eq!(ratios.output(Some(&A), &open, None).hidden, None);
    }

    fn deterministic_thoughts_that_nobody_counts_apart_are_hidden_too() {
        let mut ratios = Ratios::default();
        // 900 tokens cannot be 45 bytes: 10 are, by their words.
        ratios.learn_output(&A, &text(SAMPLE, true), 910, 0);
        assert_eq!(ratios.output(Some(&A), &text(SAMPLE, true), None), Output { text: 10, hidden: Some(900) });
    }

    fn contract_nobody_teaches_others() {
        let sample = SAMPLE.repeat(10);
        let others = [B, Key { provider: "openai_compatible", ..A }, Key { upstream: Some("mine"), ..A }, Key { model: "n", ..A }];
        let mut ratios = Ratios::default();
        for other in others {
            ratios.learn_output(&other, &text(&sample, true), 450, 0);
            ratios.learn_output(&other, &text(&sample, true), 1 << 40, 1 << 40);
            ratios.learn_input(&other, &text(&sample, true), 450);
        }
        assert_eq!(ratios.output(Some(&A), &text(&sample, true), None), Output { text: 100, hidden: None });
        assert_eq!(ratios.input(Some(&A), &text(&sample, true)), 100);
    }

    fn contract_only_what_text_can_be_is_learned() {
        let sample = text(&"x".repeat(1600), false);
        for tokens in [0, 99, 1601, 1 << 40, u64::MAX] {
            let mut ratios = Ratios::default();
            ratios.learn_input(&A, &sample, tokens);
            ratios.learn_output(&A, &sample, tokens, 0);
            assert_eq!((ratios.input(Some(&A), &sample), shown(&ratios, &A, &sample)), (400, 400), "{tokens}");
            let hidden = ratios.output(Some(&A), &sample, None).hidden;
            assert!(hidden.is_none_or(|hidden| hidden <= MAX_HIDDEN), "{tokens}: {hidden:?}");
        }
        for tokens in [300, 1600] {
            let mut ratios = Ratios::default();
            ratios.learn_input(&A, &sample, tokens);
            assert_eq!(ratios.input(Some(&A), &sample), tokens);
        }
        let mut more = sample.clone();
        more.set_has_more();
        let mut ratios = Ratios::default();
        ratios.learn_input(&A, &more, 1000);
        ratios.learn_output(&A, &more, 1000, 10);
        assert_eq!((ratios.input(Some(&A), &sample), shown(&ratios, &A, &sample)), (400, 400));
        assert_eq!(ratios.output(Some(&A), &sample, None).hidden, None);
    }

    fn contract_one_call_lowers_by_a_quarter_and_all_of_them_by_half() {
        let mut ratios = Ratios::default();
        let sample = text(&"x".repeat(1600), false);
        for least in [300, 262, 200] {
            ratios.learn_input(&A, &sample, 100);
            ratios.learn_output(&A, &sample, 100, 0);
            let now = (ratios.input(Some(&A), &sample), shown(&ratios, &A, &sample));
            assert!(now.0 >= least && now.1 >= least, "{now:?}, {least}");
        }
        for _ in 0..100 {
            ratios.learn_input(&A, &sample, 100);
            ratios.learn_output(&A, &sample, 100, 0);
        }
        assert_eq!((ratios.input(Some(&A), &sample), shown(&ratios, &A, &sample)), (200, 200));
        ratios.learn_input(&B, &sample, 1600);
        assert_eq!(ratios.input(Some(&B), &sample), 1600, "nothing bounds what is learned to cost more but the text");
    }

    fn contract_no_estimate_exceeds_text_and_limit() {
        let mut ratios = Ratios::default();
        let sample = text(&"x".repeat(500), true);
        ratios.learn_output(&A, &sample, 60_000, 59_600);
        let of = |limit| ratios.output(Some(&A), &sample, limit);
        assert_eq!(of(None), Output { text: 400, hidden: Some(59_600) });
        assert_eq!(of(Some(1000)), Output { text: 400, hidden: Some(600) });
        assert_eq!(of(Some(400)), Output { text: 400, hidden: None });
        assert_eq!(of(Some(300)), Output { text: 300, hidden: None });
        // By its words the text has 100 tokens: a provider that lets them pass does not look at a limit of 49.
        assert_eq!(of(Some(50)).text, 50);
        assert_eq!(of(Some(49)), of(None));
        // A text without words is still a text.
        let blank = text(&" ".repeat(1600), true);
        assert_eq!(shown(&ratios, &B, &blank), 1600 / BYTES_A_TOKEN_MOST);
    }

    fn contract_names_are_capped_and_one_tenants_do_not_displace_the_others() {
        let mut ratios = Ratios::default();
        let sample = text(&SAMPLE.repeat(10), true);
        for tenant in 0..200 {
            ratios.learn_output(&Key { tenant: &format!("t{tenant}"), ..A }, &sample, 225, 0);
        }
        for model in 0..100_000 {
            ratios.learn_output(&Key { model: &model.to_string(), ..A }, &sample, 50, 0);
        }
        assert_eq!(entries(&ratios, "a"), (SETS * WAYS, SETS * WAYS - 200), "the others' room is not his");
        let spared = |tenant: usize| shown(&ratios, &Key { tenant: &format!("t{tenant}"), ..A }, &sample) == 225;
        assert!((0..200).all(spared));
        for tenant in 0..100_000 {
            ratios.learn_output(&Key { tenant: &tenant.to_string(), ..A }, &sample, 50, 0);
        }
        assert_eq!(entries(&ratios, "a").0, SETS * WAYS);
    }

    fn deterministic_ratios_follow_their_model() {
        let mut ratios = Ratios::default();
        let long = text(&"x".repeat(1 << 20), false);
        for tokens in [1u64 << 20, 1 << 18] {
            for _ in 0..200 {
                ratios.learn_output(&A, &long, tokens, 0);
            }
        }
        let now = shown(&ratios, &A, &long);
        assert!((1 << 18..300_000).contains(&now), "{now}");
    }
}
