//! Networks as EC2 keeps them: no host bits, IPv6 short and in lower case (aws-deploy §10.8).

use std::net::{Ipv4Addr, Ipv6Addr};

pub fn network(text: &str) -> String {
    let (address, length) = text.split_once('/').unwrap();
    let bits: u32 = length.parse().unwrap();
    if let Ok(address) = address.parse::<Ipv4Addr>() {
        let mask = u32::MAX.checked_shl(Ipv4Addr::BITS - bits).unwrap_or(0);
        return format!("{}/{bits}", Ipv4Addr::from(address.to_bits() & mask));
    }
    let address: Ipv6Addr = address.parse().unwrap();
    let mask = u128::MAX.checked_shl(Ipv6Addr::BITS - bits).unwrap_or(0);
    format!("{}/{bits}", Ipv6Addr::from(address.to_bits() & mask))
}
