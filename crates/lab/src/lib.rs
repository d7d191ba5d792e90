//! A world of TAMs, devices and a faulty network in virtual time
