//! Networks of addresses: which lies in which, and what two have in common.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// A network; host bits are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    is_ipv6: bool,
    /// Left-aligned.
    bits: u128,
    length: u32,
    address: IpAddr,
}

impl Cidr {
    /// `address/length`; `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let length: u32 = length.parse().ok()?;
        let (bits, longest) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        (length <= longest).then_some(Self {
            is_ipv6: address.is_ipv6(),
            bits: bits & mask(length),
            length,
            address,
        })
    }

    /// Without host bits, IPv6 short and in lower case.
    pub fn network(&self) -> String {
        let network = match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - self.length).unwrap_or(0);
                IpAddr::from(Ipv4Addr::from(address.to_bits() & mask))
            }
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::from(self.bits)),
        };
        format!("{network}/{}", self.length)
    }

    pub fn covers(&self, other: &Self) -> bool {
        self.is_ipv6 == other.is_ipv6
            && self.length <= other.length
            && self.bits == other.bits & mask(self.length)
    }

    /// Two networks have the smaller in common, or nothing.
    pub fn common(self, other: Self) -> Option<Self> {
        if self.covers(&other) {
            Some(other)
        } else {
            other.covers(&self).then_some(self)
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let text = format!("{address}/{}", if address.is_ipv6() { 128 } else { 32 });
        Self::parse(&text).is_some_and(|single| self.covers(&single))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

fn mask(length: u32) -> u128 {
    match length {
        0 => 0,
        _ => u128::MAX << (128 - length.min(128)),
    }
}
