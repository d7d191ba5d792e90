use super::*;

/// A folder with slot 7 in it, which holds `length` bytes.
fn written(length: usize) -> (tempfile::TempDir, SlotFolder, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let root = Arc::new(RootKey::generate().unwrap());
    let mut slots = SlotFolder::new(folder.path().to_path_buf(), root);
    let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    slots.create(7).unwrap();
    for piece in content.chunks(10_000) {
        slots.append(7, piece).unwrap();
    }
    slots.finish(7).unwrap();
    (folder, slots, content)
}

fn read_all(slots: &mut SlotFolder, slot: SlotNumber, step: usize) -> Result<Vec<u8>, PortError> {
    let mut all = Vec::new();
    let mut piece = vec![0; step];
    loop {
        match slots.read(slot, all.len() as u64, &mut piece)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&piece[..count]),
        }
    }
}

/// The same slots after a restart: nothing is at hand any more.
fn restarted(slots: SlotFolder) -> SlotFolder {
    SlotFolder::new(slots.folder, slots.root)
}

#[test]
fn reads_what_was_written_around_every_segment_border() {
    for length in [
        0,
        1,
        SEGMENT - 1,
        SEGMENT,
        SEGMENT + 1,
        3 * SEGMENT,
        3 * SEGMENT + 5,
    ] {
        let (_folder, slots, content) = written(length);
        let mut slots = restarted(slots);
        assert_eq!(read_all(&mut slots, 7, 30_000).unwrap(), content);
        assert_eq!(slots.read_all(7, length).unwrap(), content);
        if length > 0 {
            assert_eq!(slots.read_all(7, length - 1), Err(PortError::Full));
        }
        assert_eq!(slots.read(7, u64::MAX, &mut [0; 4]), Ok(0));
        let middle = length / 2;
        let mut some = [0; 100];
        let count = slots.read(7, middle as u64, &mut some).unwrap();
        assert_eq!(count, 100.min(length - middle));
        assert_eq!(some[..count], content[middle..middle + count]);
    }
}

#[test]
fn a_truncated_slot_is_noticed_wherever_it_was_cut() {
    let (_folder, mut slots, content) = written(2 * SEGMENT + 100);
    let path = slots.finished(7);
    let whole = fs::read(&path).unwrap();
    let sealed = usize::try_from(SEALED_SEGMENT).unwrap();
    for cut in [
        0,
        5,
        SALT,
        SALT + 10,
        SALT + sealed,
        SALT + 2 * sealed,
        whole.len() - 1,
    ] {
        fs::write(&path, &whole[..cut]).unwrap();
        slots = restarted(slots);
        assert_eq!(
            read_all(&mut slots, 7, 4096),
            Err(PortError::Corrupt),
            "cut at {cut}"
        );
        slots = restarted(slots);
        let end = slots.read(7, content.len() as u64, &mut [0; 1]);
        assert_eq!(
            end,
            Err(PortError::Corrupt),
            "the end of what was cut at {cut}"
        );
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert_eq!(
        read_all(&mut restarted(slots), 7, 4096),
        Err(PortError::Corrupt)
    );
}

#[test]
fn changed_swapped_and_foreign_segments_are_noticed() {
    let (_folder, mut slots, content) = written(3 * SEGMENT);
    let path = slots.finished(7);
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(1009) {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        fs::write(&path, &changed).unwrap();
        slots = restarted(slots);
        assert_eq!(
            read_all(&mut slots, 7, SEGMENT),
            Err(PortError::Corrupt),
            "byte {at}"
        );
    }
    let sealed = usize::try_from(SEALED_SEGMENT).unwrap();
    let (first, second) = (SALT..SALT + sealed, SALT + sealed..SALT + 2 * sealed);
    let mut swapped = whole.clone();
    swapped[first.clone()].copy_from_slice(&whole[second.clone()]);
    swapped[second].copy_from_slice(&whole[first]);
    fs::write(&path, &swapped).unwrap();
    slots = restarted(slots);
    assert_eq!(read_all(&mut slots, 7, SEGMENT), Err(PortError::Corrupt));
    // The same content under another number, and an earlier writing of the same number.
    fs::write(slots.finished(8), &whole).unwrap();
    assert_eq!(read_all(&mut slots, 8, SEGMENT), Err(PortError::Corrupt));
    slots.remove(7).unwrap();
    slots.create(7).unwrap();
    slots.append(7, &content).unwrap();
    slots.finish(7).unwrap();
    let mut mixed = fs::read(&path).unwrap();
    mixed[SALT..SALT + sealed].copy_from_slice(&whole[SALT..SALT + sealed]);
    fs::write(&path, &mixed).unwrap();
    assert_eq!(
        read_all(&mut restarted(slots), 7, SEGMENT),
        Err(PortError::Corrupt)
    );
}

#[test]
fn a_half_written_slot_is_listed_not_read_and_can_be_written_anew() {
    let (_folder, mut slots, _) = written(10);
    slots.create(9).unwrap();
    slots.append(9, &vec![1; 2 * SEGMENT]).unwrap();
    let mut slots = restarted(slots);
    assert_eq!(slots.list(), Ok(vec![7, 9]));
    assert_eq!(slots.read(9, 0, &mut [0; 1]), Err(PortError::NoSuchSlot));
    assert_eq!(slots.append(9, b"more"), Err(PortError::NoSuchSlot));
    assert_eq!(slots.finish(9), Err(PortError::NoSuchSlot));
    // Renamed by someone to look finished: its last segment is missing.
    fs::copy(slots.unfinished(9), slots.finished(9)).unwrap();
    assert_eq!(read_all(&mut slots, 9, 4096), Err(PortError::Corrupt));
    fs::remove_file(slots.finished(9)).unwrap();
    let mut slots = restarted(slots);
    slots.create(9).unwrap();
    slots.append(9, b"whole").unwrap();
    slots.finish(9).unwrap();
    assert_eq!(read_all(&mut slots, 9, 2).unwrap(), b"whole");
}

#[test]
fn remove_can_be_repeated_and_a_finished_slot_is_not_overwritten() {
    let (folder, mut slots, content) = written(10);
    assert_eq!(slots.create(7), Err(PortError::Unavailable));
    assert_eq!(read_all(&mut slots, 7, 4096).unwrap(), content);
    fs::write(folder.path().join("07.slot"), b"no name of ours").unwrap();
    fs::write(folder.path().join("notes.txt"), b"no slot").unwrap();
    assert_eq!(slots.list(), Ok(vec![7]));
    for _ in 0..2 {
        slots.remove(7).unwrap();
        assert_eq!(slots.list(), Ok(vec![]));
        assert_eq!(slots.read(7, 0, &mut [0; 1]), Err(PortError::NoSuchSlot));
    }
    slots.create(7).unwrap();
    slots.remove(7).unwrap();
    assert_eq!(slots.append(7, b"gone"), Err(PortError::NoSuchSlot));
    assert_eq!(slots.list(), Ok(vec![]));
}
