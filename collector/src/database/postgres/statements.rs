//! What is asked and written within a transaction: every statement once for all rows, prepared once.

use tokio_postgres::{Client, Error, Statement};

use super::LOCKS;

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident: $text:expr;)*) => {
        /// Prepared statements.
        pub struct Statements {
            $($(#[$doc])* pub $name: Statement,)*
        }

        impl Statements {
            /// Prepares all of them.
            pub async fn prepare(client: &Client) -> Result<Statements, Error> {
                $(let $name = $text;)*
                let ($($name,)*) = tokio::try_join!($(client.prepare(&$name)),*)?;
                Ok(Statements { $($name),* })
            }
        }
    };
}

statements! {
    /// Along with the others.
    together: format!("SELECT pg_advisory_xact_lock_shared({LOCKS}, -1)");
    /// Without any other: who was too slow several times is alone at last.
    alone: format!("SELECT pg_advisory_xact_lock({LOCKS}, -1)");

    chain: "SELECT entry, hash, written_ns FROM chain WHERE writer = $1 FOR UPDATE";
    // Rows are locked in the order of their keys, everywhere, so that nobody waits in a circle.
    emitters: "SELECT emitter, credential, node, first_ns, heard_ns, last, head, dropped, ended FROM emitters
        WHERE emitter = ANY ($1::text[]) ORDER BY emitter FOR UPDATE";
    ranges: "SELECT k.emitter, r.first, r.last
        FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (emitter, low, high) CROSS JOIN LATERAL (
            SELECT a.first, a.last FROM emitter_ranges a WHERE a.emitter = k.emitter AND a.first <= k.high
            AND a.first >= coalesce((SELECT max(b.first) FROM emitter_ranges b
                                     WHERE b.emitter = k.emitter AND b.first <= k.low), k.low)
        ) r ORDER BY k.emitter, r.first";
    contents: "SELECT l.emitter, l.sequence, l.event, l.salt FROM unnest($1::text[], $2::bigint[]) AS k (emitter, sequence)
        JOIN ledger l ON l.emitter = k.emitter AND l.sequence = k.sequence AND l.kind IN ('call', 'copy', 'release')";
    responses: "SELECT r.day, r.response, r.proof, r.place
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (day, response, proof)
        JOIN responses r ON r.day = k.day AND r.response = k.response AND r.proof = k.proof
        ORDER BY r.day, r.response, r.proof FOR UPDATE OF r";
    held: super::known::held_now();
    sums: "SELECT k.number, r.class, r.quantity, r.charge, r.cost, r.unpriced, r.fallback
        FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY
            AS k (day, adjusts, tenant, provider, model, evidence, number)
        JOIN rollup r ON r.writer = $1 AND r.day = k.day::date AND r.adjusts = k.adjusts AND r.tenant = k.tenant AND r.provider = k.provider
            AND r.model = k.model AND r.evidence = k.evidence";
    reversed: "SELECT l.refers_writer, l.refers_entry FROM unnest($1::bigint[], $2::bigint[]) AS k (writer, entry)
        JOIN ledger l ON l.refers_writer = k.writer AND l.refers_entry = k.entry AND l.kind = 'reversal'";
    corrected: "SELECT l.refers_writer, l.refers_entry FROM unnest($1::bigint[], $2::bigint[]) AS k (writer, entry)
        JOIN ledger l ON l.refers_writer = k.writer AND l.refers_entry = k.entry AND l.kind = 'correction'";
    tenants: "SELECT l.writer, l.entry, l.tenant FROM unnest($1::bigint[], $2::bigint[]) AS k (writer, entry)
        JOIN ledger l ON l.writer = k.writer AND l.entry = k.entry";
    closed: "SELECT started_ns FROM ledger WHERE kind = 'month_closed'";
    heads: "SELECT writer, entry FROM chain ORDER BY writer";

    budget_revision: "SELECT revision FROM budget_revision";
    // In the order of the locks, everywhere.
    lock_windows: "SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS k";
    window_leases: "SELECT l.budget, l.begins_s, l.subject, l.emitter, l.granted, l.charged::text, coalesce(e.seen_ns, 0)
        FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS k (budget, begins_s, subject)
        JOIN budget_leases l ON l.budget = k.budget AND l.begins_s = k.begins_s AND l.subject = k.subject
        LEFT JOIN budget_lessees e ON e.emitter = l.emitter";
    window_balances: "SELECT b.budget, b.begins_s, b.subject, sum(b.spent)::text
        FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS k (budget, begins_s, subject)
        JOIN budget_balances b ON b.budget = k.budget AND b.begins_s = k.begins_s AND b.subject = k.subject
        GROUP BY b.budget, b.begins_s, b.subject";
    lessees: "SELECT emitter, number, seen_ns FROM budget_lessees WHERE emitter = ANY ($1::text[])";

    kept: format!("{} WHERE digest = ANY ($1::bytea[]) AND released_entry IS NULL ORDER BY digest FOR UPDATE",
        super::known::KEPT);

    // What is new here must not be new to two collectors: each is told how many rows it has made.
    new_emitters: "INSERT INTO emitters (emitter, credential, node, first_ns, heard_ns, last, head, dropped, ended)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::bigint[], $9::text[]) ON CONFLICT DO NOTHING";
    put_emitters: "UPDATE emitters e SET credential = k.credential, node = k.node, first_ns = k.first_ns,
            heard_ns = k.heard_ns, last = k.last, head = k.head, dropped = k.dropped, ended = k.ended
        FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::bigint[], $9::text[])
            AS k (emitter, credential, node, first_ns, heard_ns, last, head, dropped, ended)
        WHERE e.emitter = k.emitter";
    new_responses: "INSERT INTO responses (day, response, proof, place)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) ON CONFLICT DO NOTHING";
    put_responses: "UPDATE responses r SET place = k.place
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) AS k (day, response, proof, place)
        WHERE r.day = k.day AND r.response = k.response AND r.proof = k.proof";
    possible: "INSERT INTO possible_copies AS p (day, response, slot, first_writer, first_entry, second_writer,
            second_entry, records, noted_ns)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
            $7::bigint[], $8::bigint[], $9::bigint[])
        ON CONFLICT (day, response, slot) DO UPDATE SET first_writer = excluded.first_writer,
            first_entry = excluded.first_entry, second_writer = excluded.second_writer,
            second_entry = excluded.second_entry, records = p.records + excluded.records, noted_ns = excluded.noted_ns";
    // What was a range of its own inside of one is a part of it now.
    drop_ranges: "DELETE FROM emitter_ranges r USING unnest($1::text[], $2::bigint[], $3::bigint[])
            AS k (emitter, first, last)
        WHERE r.emitter = k.emitter AND r.first > k.first AND r.first <= k.last";
    put_ranges: "INSERT INTO emitter_ranges (emitter, first, last)
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
        ON CONFLICT (emitter, first) DO UPDATE SET last = excluded.last";
    notes: "INSERT INTO emitter_notes (emitter, first, last, what, at_ns)
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[]) ON CONFLICT DO NOTHING";
    entries: "INSERT INTO ledger (writer, entry, kind, emitter, sequence, refers_writer, refers_entry, started_ns,
            received_ns, tenant, provider, model, evidence, charge, rating, reason, event, hash, cost, billed, salt)
        SELECT writer, entry, kind, emitter, sequence, refers_writer, refers_entry, started_ns,
            received_ns, tenant, provider, model, evidence, charge::numeric, rating, reason, event, hash, cost::numeric,
            billed, salt
        FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
            $16::text[], $17::text[], $18::bytea[], $19::text[], $20::text[], $21::bytea[])
            AS k (writer, entry, kind, emitter, sequence, refers_writer, refers_entry, started_ns,
                received_ns, tenant, provider, model, evidence, charge, rating, reason, event, hash, cost, billed, salt)";
    // What is there already was never gone.
    return_entries: format!("{entries} ON CONFLICT (writer, entry) DO NOTHING");
    put_chain: "UPDATE chain SET entry = $2, hash = $3, written_ns = $4 WHERE writer = $1";
    put_sums: "INSERT INTO rollup (writer, day, adjusts, tenant, provider, model, evidence, class, quantity, charge, cost,
            unpriced, fallback)
        SELECT $1, day::date, adjusts, tenant, provider, model, evidence, class, quantity, charge::numeric, cost::numeric,
            unpriced, fallback
        FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
            $10::text[], $11::text[], $12::bigint[], $13::bigint[])
            AS k (day, adjusts, tenant, provider, model, evidence, class, quantity, charge, cost, unpriced, fallback)
        ON CONFLICT (day, adjusts, tenant, provider, model, evidence, class, writer) DO UPDATE SET
            quantity = excluded.quantity, charge = excluded.charge, cost = excluded.cost, unpriced = excluded.unpriced, fallback = excluded.fallback";
    known_days: super::coarse::KNOWN_DAYS;
    known_months: super::coarse::KNOWN_MONTHS;
    put_days: super::coarse::PUT_DAYS;
    put_months: super::coarse::PUT_MONTHS;
    quarantined: "INSERT INTO quarantined AS s (digest, kind, reason, emitter, sequence, credential, event, deliveries,
            first_received_ns, last_received_ns)
        SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bytea[],
            $8::bigint[], $9::bigint[], $10::bigint[])
        ON CONFLICT (digest) DO UPDATE SET deliveries = s.deliveries + excluded.deliveries, reason = excluded.reason,
            credential = excluded.credential, last_received_ns = excluded.last_received_ns";
    release: "UPDATE quarantined s SET released_writer = k.writer, released_entry = k.entry
        FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS k (digest, writer, entry)
        WHERE s.digest = k.digest AND s.released_entry IS NULL";
    replace_names: "UPDATE ledger l SET tenant = k.tenant, event = k.event, salt = k.new
        FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::text[], $5::text[], $6::bytea[])
            AS k (writer, entry, old, tenant, event, new)
        WHERE l.writer = k.writer AND l.entry = k.entry AND l.salt IS NOT DISTINCT FROM k.old";
    replace_in_quarantine: "UPDATE quarantined q SET digest = k.new, event = k.event
        FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS k (old, new, event) WHERE q.digest = k.old";
    put_balances: "INSERT INTO budget_balances AS b (budget, begins_s, subject, writer, spent)
        SELECT budget, begins_s, subject, $1, spent::numeric
        FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[]) AS k (budget, begins_s, subject, spent)
        ON CONFLICT (budget, begins_s, subject, writer) DO UPDATE SET spent = b.spent + excluded.spent";
    end_leases: "DELETE FROM budget_leases WHERE emitter = ANY ($1::text[])";
    put_leases: "INSERT INTO budget_leases (budget, begins_s, subject, emitter, ends_s, granted, charged)
        SELECT budget, begins_s, subject, emitter, ends_s, granted, 0
        FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
            AS k (budget, begins_s, subject, emitter, ends_s, granted)
        ON CONFLICT (budget, begins_s, subject, emitter) DO UPDATE SET granted = excluded.granted";
    charge_leases: "UPDATE budget_leases l SET charged = l.charged + k.charged::numeric
        FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[])
            AS k (budget, begins_s, subject, emitter, charged)
        WHERE l.budget = k.budget AND l.begins_s = k.begins_s AND l.subject = k.subject AND l.emitter = k.emitter";
    put_lessees: "INSERT INTO budget_lessees AS e (emitter, number, seen_ns)
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
        ON CONFLICT (emitter) DO UPDATE SET number = greatest(e.number, excluded.number), seen_ns = excluded.seen_ns";
}
