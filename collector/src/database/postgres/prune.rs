//! What is kept for a time only. It goes while nobody else has a transaction.

use tokio_postgres::types::ToSql;

use super::failure::Failure;
use super::reader::PostgresReader;
use super::session::Session;
use super::write::column;
use crate::store::StoreError;
use crate::store::pruning::{Held, Page, PruneChanges};
use crate::store::responses::{PossibleCopy, PossibleKey, ResponseKey};

/// Where other meters' records are recognised.
pub fn held(reader: &PostgresReader, page: Page) -> Result<Vec<Held>, StoreError> {
    let sql = "SELECT r.day, r.response, r.proof,
            EXISTS (SELECT 1 FROM possible_copies p WHERE p.day = r.day AND p.response = r.response)
        FROM responses r WHERE (r.day, r.response, r.proof) > ($1, $2, $3) AND r.day <= $4
        ORDER BY r.day, r.response, r.proof LIMIT $5";
    let Page { behind: ResponseKey { day, response, proof }, until_day, most } = page;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    reader.all(sql, &[&day, &response, &proof, &until_day, &most], |row| {
        let key = ResponseKey { day: row.try_get(0)?, response: row.try_get(1)?, proof: row.try_get(2)? };
        Ok(Held { key, has_pair: row.try_get(3)? })
    })
}

/// What a transaction lets go.
pub async fn changes(session: &Session, changes: &PruneChanges) -> Result<(), Failure> {
    let PruneChanges { quarantined, possible, responses } = changes;
    let client = &session.connection.client;
    if !quarantined.is_empty() {
        let sql = "UPDATE quarantined SET event = '', reason = ''
            WHERE digest = ANY ($1::bytea[]) AND released_entry IS NOT NULL";
        client.execute(sql, &[&column(quarantined, |digest| digest.as_slice())]).await?;
    }
    drop_pairs(session, possible).await?;
    if !responses.is_empty() {
        let sql =
            "DELETE FROM responses r USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (day, response, proof)
            WHERE r.day = k.day AND r.response = k.response AND r.proof = k.proof
            AND NOT EXISTS (SELECT 1 FROM possible_copies p WHERE p.day = k.day AND p.response = k.response)";
        let values: [&(dyn ToSql + Sync); 3] = [
            &column(responses, |key| key.day),
            &column(responses, |key| key.response),
            &column(responses, |key| key.proof),
        ];
        client.execute(sql, &values).await?;
    }
    Ok(())
}

async fn drop_pairs(session: &Session, rows: &[(PossibleKey, PossibleCopy)]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "DELETE FROM possible_copies p USING unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[],
            $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
            AS k (day, response, slot, first_writer, first_entry, second_writer, second_entry, records)
        WHERE p.day = k.day AND p.response = k.response AND p.slot = k.slot AND p.first_writer = k.first_writer
        AND p.first_entry = k.first_entry AND p.second_writer = k.second_writer AND p.second_entry = k.second_entry
        AND p.records = k.records";
    let values: [&(dyn ToSql + Sync); 8] = [
        &column(rows, |(key, _)| key.day),
        &column(rows, |(key, _)| key.response),
        &column(rows, |(key, _)| key.slot),
        &column(rows, |(_, noted)| noted.first.writer),
        &column(rows, |(_, noted)| noted.first.number),
        &column(rows, |(_, noted)| noted.second.writer),
        &column(rows, |(_, noted)| noted.second.number),
        &column(rows, |(_, noted)| noted.records),
    ];
    session.connection.client.execute(sql, &values).await?;
    Ok(())
}
