//! The attacks of `just siege` that take a few seconds only.

use e2e::siege;

#[tokio::test(flavor = "multi_thread")]
async fn race_no_short_attack_bends_the_bill() {
    assert_eq!(siege::lay(siege::attacks().filter(|attack| attack.short)).await, 0, "attacks that went through");
}
