//! What each address takes up in this second: connections and empty POSTs.
//!
//! A stranger costs the TAM something before anything is known of him. In a flood that comes from few addresses
//! these get 429 first and then no connection at all, which costs less than asking does. Devices behind one
//! address (a carrier's translation, a proxy) are counted together.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// The counts of this second.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// [`crate::Limits::per_address`].
    limit: u32,
    second: Mutex<Second>,
}

#[derive(Debug, Default)]
struct Second {
    since_1970: u64,
    counts: HashMap<IpAddr, u32>,
}

/// What is to be done with a connection or an empty POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Within the limit.
    Served,
    /// Up to the limit once more: it is told to come back later.
    Told,
    /// Whoever does not listen is left without an answer.
    Cut,
}

impl Addresses {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            limit,
            second: Mutex::default(),
        }
    }

    /// Counts one connection or one empty POST.
    pub(crate) fn admit(&self, address: IpAddr, now: u64) -> Admission {
        // Each change is one assignment, so a panic elsewhere leaves nothing half done.
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if second.since_1970 != now {
            second.since_1970 = now;
            second.counts.clear();
        }
        let address = whose(address);
        if second.counts.len() >= CAPACITY && !second.counts.contains_key(&address) {
            // A flood from everywhere: what holds then are the limits on all together.
            return Admission::Served;
        }
        let count = second.counts.entry(address).or_default();
        *count = count.saturating_add(1);
        match *count {
            count if count <= self.limit => Admission::Served,
            count if count <= self.limit.saturating_mul(2) => Admission::Told,
            _ => Admission::Cut,
        }
    }
}

/// Who has one IPv6 address has the 64 bits after its network's number, too.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

/// Addresses in one second; about 30 bytes each.
const CAPACITY: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_is_served_then_told_then_cut_and_begins_anew_each_second() {
        use Admission::{Cut, Served, Told};
        let addresses = Addresses::new(2);
        let one = |now| addresses.admit(address("192.0.2.1"), now);
        let first: Vec<_> = (0..6).map(|_| one(7)).collect();
        assert_eq!(first, [Served, Served, Told, Told, Cut, Cut]);
        assert_eq!(one(8), Served);
        assert_eq!([one(8), one(8)], [Served, Told]);
        assert_eq!(addresses.admit(address("192.0.2.2"), 8), Served);
        // The clock goes back.
        assert_eq!(addresses.admit(address("192.0.2.1"), 7), Served);
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_an_ipv4_address_is_itself_however_written() {
        let addresses = Addresses::new(1);
        let is_new = |text| addresses.admit(address(text), 7) == Admission::Served;
        assert!(is_new("2001:db8::1"));
        assert!(!is_new("2001:db8::2:0:0:1"));
        assert!(is_new("2001:db8:0:1::1"));
        assert!(is_new("::ffff:192.0.2.1"));
        assert!(!is_new("192.0.2.1"));
        assert!(is_new("::ffff:192.0.2.2"));
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory() {
        let addresses = Addresses::new(1);
        for n in 0..2 * CAPACITY as u32 {
            let from = IpAddr::V4(n.into());
            assert_eq!(addresses.admit(from, 7), Admission::Served);
        }
        assert_eq!(addresses.second.lock().unwrap().counts.len(), CAPACITY);
        assert_eq!(addresses.admit(IpAddr::V4(0.into()), 7), Admission::Told);
    }
}
