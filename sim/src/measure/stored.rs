/// The id that the program `fill` (an example of the crate `provisioning`) gives to a device.
#[must_use]
pub fn stored_id(number: usize) -> String {
    let scattered = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("stored-{scattered:016x}")
}
