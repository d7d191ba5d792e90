//! Labels and values of COSE_Key: RFC 9052 section 7.1, RFC 9053 section 7, RFC 8778 section 4, RFC 9964.

pub(crate) const KTY: i8 = 1;
pub(crate) const KTY_OKP: i8 = 1;
pub(crate) const KTY_EC2: i8 = 2;
pub(crate) const KTY_SYMMETRIC: i8 = 4;
pub(crate) const KTY_HSS_LMS: i8 = 5;
pub(crate) const KTY_AKP: i8 = 7;

pub(crate) const ALG: i8 = 3;

/// Of EC2 and OKP keys.
pub(crate) const CRV: i8 = -1;
pub(crate) const CRV_P256: i8 = 1;
pub(crate) const CRV_X25519: i8 = 4;
pub(crate) const CRV_ED25519: i8 = 6;
pub(crate) const X: i8 = -2;
pub(crate) const Y: i8 = -3;

/// Of HSS-LMS and AKP keys.
pub(crate) const PUB: i8 = -1;

/// Of symmetric keys.
pub(crate) const K: i8 = -1;
