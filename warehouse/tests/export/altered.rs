//! What is wrong with an export is said, and nothing of it is used.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use warehouse::place::Dir;
use warehouse::{Archive, Error, Place, Position, Selection};

use crate::archive::*;
use crate::support::*;

/// What is said when a file is read, by each way of reading that has to use it.
fn refusals(dir: &Temporary, ledger: &Ledger) -> Vec<String> {
    let archive = open(dir).unwrap();
    let mut said = Vec::new();
    for writer in ledger.chains.keys() {
        said.extend(all_of(&archive, *writer).err().map(|error| error.to_string()));
    }
    said.extend(archive.record("nobody", 1, None).err().map(|error| error.to_string()));
    said
}

#[test]
fn contract_a_file_that_was_altered_cut_off_or_lost_is_named_and_nothing_of_it_is_used() {
    let (dir, ledger) = exported(&[(1, 30), (2, 9)]);
    for path in files(&dir.0).into_iter().step_by(7) {
        let whole = fs::read(&path).unwrap();
        let name = path.display().to_string();
        // Every kind of place in it: the first bytes, pages, the footer, the last byte.
        for at in (0..whole.len()).step_by(whole.len() / 7).chain([whole.len() - 1]) {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            fs::write(&path, altered).unwrap();
            let said = refusals(&dir, &ledger);
            let why = format!("{name}: was altered: its SHA-256 is not that of its manifest");
            assert!(said.len() >= 2 && said.iter().all(|said| *said == why), "{at}: {said:?}");
            let archive = open(&dir).unwrap();
            for (writer, entry) in all(&ledger) {
                let position = Position { writer, entry };
                match archive.entry(position) {
                    Ok(found) => assert_eq!(found, Some(kept(&ledger.row(position)))),
                    Err(said) => assert_eq!(said.to_string(), why),
                }
            }
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let why = format!("was altered: it has {} bytes, and {} by its manifest", whole.len() - 1, whole.len());
        let said = refusals(&dir, &ledger);
        assert!(said.len() >= 2 && said.iter().all(|said| *said == format!("{name}: {why}")), "{said:?}");
        fs::remove_file(&path).unwrap();
        let said = refusals(&dir, &ledger);
        let why = format!("{name}: is missing, which its manifest names");
        assert!(said.len() >= 2 && said.iter().all(|said| *said == why), "{said:?}");
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(refusals(&dir, &ledger), Vec::<String>::new());
}

#[test]
fn race_a_file_that_is_altered_after_it_was_checked_is_checked_again() {
    let (dir, ledger) = exported(&[(1, 30)]);
    let archive = open(&dir).unwrap();
    assert_eq!(all_of(&archive, 1).unwrap(), rows(&ledger, 1, (0, 30), |_| true));
    for path in files(&dir.0) {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(&path, &bytes).unwrap();
        let said = all_of(&archive, 1).unwrap_err().to_string();
        assert!(said.starts_with(&path.display().to_string()) && said.contains("was altered"), "{said}");
        bytes[middle] ^= 4;
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(all_of(&archive, 1).unwrap(), rows(&ledger, 1, (0, 30), |_| true));
}

#[test]
fn contract_manifests_follow_each_other_or_the_one_that_does_not_is_named() {
    let none = Temporary::new();
    let said = open(&none).err().unwrap().to_string();
    assert!(said.starts_with(&none.0.display().to_string()) && said.contains("No such file"), "{said}");
    assert!(!none.0.exists(), "nothing is made");
    // An export of a month is not one of all.
    let october = Selection { month: Some("2026-10".to_owned()), tenant: None };
    warehouse::export(&Ledger::of(&[(1, 9)]), &none.place(), &october, SMALL, &mut |_| ()).unwrap();
    assert!(open(&none).err().unwrap().to_string().ends_with(": has no export of all entries"));

    let (dir, ledger) = exported(&[(1, 60), (2, 20)]);
    let manifests = dir.0.join("_meshmeter/manifests/all");
    let commits = fs::read_dir(&manifests).unwrap().count();
    let path = |commit: usize| manifests.join(format!("{commit:08}.json"));
    assert!(commits > 6);
    for commit in 1..commits {
        let whole = fs::read(path(commit)).unwrap();
        fs::remove_file(path(commit)).unwrap();
        let said = open(&dir).err().unwrap().to_string();
        assert!(said.ends_with(&format!("_meshmeter/manifests/all has no manifest of commit {commit}")), "{said}");
        fs::write(path(commit), whole).unwrap();
    }
    let middle = commits / 2;
    let text = fs::read_to_string(path(middle)).unwrap();
    let other = fs::read_to_string(path(middle + 1)).unwrap();
    let first_file = text.split("\"path\": \"").nth(1).unwrap().split('"').next().unwrap();
    let hash = text.split("\"hash\": \"").nth(1).unwrap().split('"').next().unwrap();
    let entry = text.rsplit("\"entry\": ").next().unwrap().split(',').next().unwrap().split('\n').next().unwrap();
    for (altered, why) in [
        (other, "is the manifest of another commit"),
        (text.replacen(hash, &"0".repeat(64), 1), "does not go on where commit"),
        (
            text.replacen(first_file, "../../../etc/passwd", 1),
            "names a file \"../../../etc/passwd\", which no export writes",
        ),
        (text.replacen(first_file, &format!("/{first_file}"), 1), "which no export writes"),
        (text.replacen(first_file, &first_file.replace(".parquet", "/../x.parquet"), 1), "which no export writes"),
        (text.replacen("\"rows\": ", "\"rows\": 1", 1), "names files that do not have the "),
        (
            text.replace(&format!("\"entry\": {entry}\n"), "\"entry\": 9999\n"),
            "which has other entries than it is about",
        ),
        (
            text.replacen("\"format\": 1", "\"format\": 2", 1),
            "is of format 2, which this version of meshmeter does not write",
        ),
        (text[..text.len() / 2].to_owned(), "EOF while parsing"),
    ] {
        assert_ne!(altered, text, "{why}");
        fs::write(path(middle), &altered).unwrap();
        let said = open(&dir).err().map(|error| error.to_string()).unwrap_or_default();
        let name = path(middle).display().to_string();
        assert!(said.starts_with(&name) && said.contains(why), "{said}, not {why}");
    }
    fs::write(path(middle), &text).unwrap();
    // The same file twice, in place of another one.
    let next = fs::read_to_string(path(middle + 1)).unwrap();
    let next_file = next.split("\"path\": \"").nth(1).unwrap().split('"').next().unwrap();
    fs::write(path(middle + 1), next.replacen(next_file, first_file, 1)).unwrap();
    let said = open(&dir).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(said.contains(" names ") && said.ends_with(" again") || said.contains("which no export writes"), "{said}");
    fs::write(path(middle + 1), next).unwrap();
    assert_eq!(refusals(&dir, &ledger), Vec::<String>::new());
}

#[test]
fn contract_a_directory_that_is_read_is_not_written_to_and_others_may() {
    let (dir, ledger) = exported(&[(1, 12)]);
    let writing = dir.place();
    let reading = Dir::open_to_read(&dir.0).unwrap();
    let said: Vec<Error> = [
        reading.staging().err(),
        reading.create("_meshmeter/x", b"").err(),
        reading.replace("_meshmeter/x", b"").err(),
        reading.delete("_meshmeter/lock").err(),
        reading.publish(&dir.0.join("_meshmeter/lock"), "x").err(),
        warehouse::export(&Ledger::of(&[(1, 20)]), &reading, &Selection::default(), SMALL, &mut |_| ()).err(),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert_eq!(said.len(), 6);
    assert!(said.iter().all(|said| said.to_string().ends_with(": was opened only to be read")), "{said:?}");
    let archive = Archive::open(Arc::new(reading)).unwrap();
    assert_eq!(all_of(&archive, 1).unwrap(), rows(&ledger, 1, (0, 12), |_| true));
    // What is committed meanwhile is there for whoever opens it then.
    let grown = Ledger::of(&[(1, 31)]);
    export(&grown, &writing).unwrap();
    assert_eq!(all_of(&archive, 1).unwrap(), rows(&ledger, 1, (0, 12), |_| true));
    assert_eq!(all_of(&open(&dir).unwrap(), 1).unwrap(), rows(&grown, 1, (0, 31), |_| true));
    drop(writing);
    let settings = warehouse::place::Settings::default();
    fs::write(dir.0.join("file"), "").unwrap();
    for (from, why) in [("", "must be a directory"), ("gs://x/y", "must be a directory"), ("file", "is no directory")] {
        let from = if from == "file" { dir.0.join(from).display().to_string() } else { from.to_owned() };
        let said = warehouse::place::open_to_read(&from, &settings).err().unwrap().to_string();
        assert!(said.contains(why), "{said}");
    }
    assert!(warehouse::place::open_to_read(dir.0.to_str().unwrap(), &settings).is_ok());
}

/// Puts other bytes in place of a file, as if they had been committed.
fn commit_instead(dir: &Temporary, path: &Path, bytes: &[u8]) {
    use sha2::Digest as _;
    let name = path.strip_prefix(&dir.0).unwrap().to_str().unwrap();
    for manifest in fs::read_dir(dir.0.join("_meshmeter/manifests/all")).unwrap() {
        let manifest = manifest.unwrap().path();
        let mut found: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
        for file in found["files"].as_array_mut().unwrap().iter_mut().filter(|file| file["path"] == name) {
            let digest = sha2::Sha256::digest(bytes);
            file["sha256"] = json!(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            file["bytes"] = json!(bytes.len());
        }
        fs::write(&manifest, serde_json::to_vec(&found).unwrap()).unwrap();
    }
    fs::write(path, bytes).unwrap();
}

/// A file without one of its columns, as a version wrote it that did not know the column.
fn without(column: &str, path: &Path) -> Vec<u8> {
    use parquet::column::writer::ColumnCloseResult;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::file::writer::SerializedFileWriter;
    let file = fs::File::open(path).unwrap();
    let metadata = SerializedFileReader::new(file.try_clone().unwrap()).unwrap().metadata().clone();
    let schema = warehouse::columns::schema();
    let kept: Vec<&str> = schema.lines().filter(|line| !line.contains(&format!(" {column} "))).collect();
    assert_eq!(kept.len() + 1, schema.lines().count());
    let schema = Arc::new(parquet::schema::parser::parse_message_type(&kept.join("\n")).unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Default::default()).unwrap();
    for group in metadata.row_groups() {
        let mut to = writer.next_row_group().unwrap();
        for chunk in group.columns().iter().filter(|chunk| chunk.column_path().string() != column) {
            let close = ColumnCloseResult {
                bytes_written: u64::try_from(chunk.compressed_size()).unwrap(),
                rows_written: u64::try_from(group.num_rows()).unwrap(),
                metadata: chunk.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            to.append_column(&file, close).unwrap();
        }
        to.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

#[test]
fn contract_a_file_of_a_version_without_salts_is_said_to_be_incomplete_and_an_export_goes_on_behind_it() {
    let (dir, _) = exported(&[(1, 20)]);
    for path in files(&dir.0) {
        let bytes = without("salt", &path);
        commit_instead(&dir, &path, &bytes);
        assert!(rows_of(&path).iter().all(|row| row.get("salt").is_none() && row["event"] != json!("")));
    }
    let said = all_of(&open(&dir).unwrap(), 1).unwrap_err().to_string();
    assert!(said.contains("has no column salt, as it was written by an earlier version"), "{said}");
    assert!(said.starts_with(&dir.0.display().to_string()) && said.contains(".parquet: "), "{said}");
    // The same place goes on; its new entries are complete.
    let grown = Ledger::of(&[(1, 41)]);
    export(&grown, &dir.place()).unwrap();
    let archive = open(&dir).unwrap();
    assert_eq!(read(&archive, 1, (21, 41), None, None).unwrap(), rows(&grown, 1, (21, 41), |_| true));
    assert!(all_of(&archive, 1).is_err());
    manifests_are_true(&dir.0);
    // Other columns are needed as well.
    let (dir, _) = exported(&[(1, 5)]);
    let path = files(&dir.0).remove(0);
    commit_instead(&dir, &path, &without("model", &path));
    let said = all_of(&open(&dir).unwrap(), 1).unwrap_err().to_string();
    assert_eq!(said, format!("{}: has no column model", path.display()));
}

#[test]
fn contract_a_file_of_any_bytes_is_refused_before_the_parquet_library_reads_it() {
    let (dir, ledger) = exported(&[(1, 25)]);
    let path = files(&dir.0).remove(0);
    let whole = fs::read(&path).unwrap();
    let mut digits = 7_u64;
    let mut below = |end: usize| {
        digits = digits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (digits >> 33) as usize % end
    };
    for _ in 0..100 {
        let mut bytes = whole.clone();
        for _ in 0..=below(4) {
            bytes[below(whole.len())] ^= 1 << below(8);
        }
        // Twice the same bit is none.
        if bytes == whole {
            continue;
        }
        fs::write(&path, &bytes).unwrap();
        let said = refusals(&dir, &ledger);
        let why = format!("{}: was altered: its SHA-256 is not that of its manifest", path.display());
        // By its entries, and by a record that is in none.
        assert_eq!(said, [why.clone(), why]);
    }
}

#[test]
fn contract_a_file_that_ends_as_none_does_is_refused() {
    let (dir, _) = exported(&[(1, 25)]);
    let path = files(&dir.0).remove(0);
    let whole = fs::read(&path).unwrap();
    let end = whole.len() - 8;
    let with_length = |length: u32| [&whole[..end], &length.to_le_bytes(), b"PAR1"].concat();
    for (bytes, why) in [
        (with_length(u32::MAX), "ends with more than there can be"),
        (with_length(end as u32 + 1), "ends with more than there can be"),
        (b"PAR1".to_vec(), "is too short"),
        ([&whole[..end + 4], b"1RAP"].concat(), "Invalid Parquet file. Corrupt footer"),
        // As long as it may be, but no such file.
        (fs::read(dir.0.join("_meshmeter/manifests/all/00000001.json")).unwrap(), "ends with more than there can be"),
    ] {
        commit_instead(&dir, &path, &bytes);
        let said = all_of(&open(&dir).unwrap(), 1).unwrap_err().to_string();
        assert!(said.starts_with(&format!("{}: ", path.display())) && said.contains(why), "{said}, not {why}");
    }
    // Another file of the same export, with fewer entries than its manifest says.
    let (dir, _) = exported(&[(1, 25)]);
    let paths = files(&dir.0);
    let most = paths.iter().max_by_key(|path| rows_of(path).len()).unwrap();
    let fewest = paths.iter().min_by_key(|path| rows_of(path).len()).unwrap();
    let rows = rows_of(most).len();
    assert!(rows > rows_of(fewest).len());
    commit_instead(&dir, most, &fs::read(fewest).unwrap());
    let said = all_of(&open(&dir).unwrap(), 1).unwrap_err().to_string();
    assert_eq!(said, format!("{}: has not the {rows} rows that it has by its manifest", most.display()));
}

/// By these files are chosen: one that has more than it says would be passed over, and its entries be missing somewhere else.
#[test]
fn contract_a_manifest_that_says_less_of_a_file_than_is_in_it_is_refused_by_the_file() {
    for (field, value) in [("last", "first"), ("first", "last"), ("tenant_hash", "")] {
        let (dir, ledger) = exported(&[(1, 30)]);
        let path = dir.0.join("_meshmeter/manifests/all/00000001.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let files = manifest["files"].as_array_mut().unwrap();
        let file = files.iter_mut().find(|file| file["rows"].as_u64() > Some(1)).unwrap();
        if field == "tenant_hash" {
            // The file is put where another part of the tenants is.
            let (from, part) = (file["path"].as_str().unwrap().to_owned(), file["tenant_hash"].as_u64().unwrap());
            let to = from.replace(&format!("tenant_hash={part}/"), &format!("tenant_hash={}/", (part + 1) % 16));
            fs::create_dir_all(dir.0.join(&to).parent().unwrap()).unwrap();
            let to = to.replace(".parquet", "-9.parquet");
            fs::rename(dir.0.join(&from), dir.0.join(&to)).unwrap();
            (file["path"], file["tenant_hash"]) = (json!(to), json!((part + 1) % 16));
        } else {
            file[field] = file[value].clone();
        }
        fs::write(&path, manifest.to_string()).unwrap();
        let said = refusals(&dir, &ledger);
        // Or, if it is not opened in time, the first entry that is missed.
        let why = if field == "first" { "is in none of the files" } else { "which its manifest does not say" };
        assert!(said.iter().any(|said| said.contains(why)), "{field}: {said:?}");
    }
}

#[test]
fn contract_a_manifest_that_is_no_file_or_endless_is_refused_before_it_is_read() {
    let (dir, _) = exported(&[(1, 30)]);
    let path = dir.0.join("_meshmeter/manifests/all/00000001.json");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    assert!(open(&dir).err().unwrap().to_string().ends_with("00000001.json: is no file"));
    fs::remove_file(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(open(&dir).err().unwrap().to_string().contains("is longer than"));
}
