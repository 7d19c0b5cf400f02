use super::command::{MAX_WORD, word};

cases! {
    fn contract_every_word_in_every_transform_fits() {
        let mut words = 0;
        for length in 0..32 {
            for number in 0..1 << 20 {
                words += usize::from(word(length, number, &mut [0; MAX_WORD]).is_some());
            }
        }
        assert_eq!(words, 121 * 13_504);
        assert_eq!(word(4, 0, &mut [0; MAX_WORD]), Some(b"time".as_slice()));
    }
}
