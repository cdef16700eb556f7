//! SRTP alone: for tests against another implementation of it.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::rtp::{be32, parse_header};
use crate::srtp::{Profile, Refusal, Srtp, MAX_DATAGRAM};

/// Both directions of one transport.
#[pyclass(name = "Srtp")]
pub struct PySrtp(Srtp);

fn refused(refusal: Refusal) -> PyErr {
    PyValueError::new_err(refusal.name())
}

/// As the plane checks before it opens anything.
fn whole(datagram: &[u8]) -> PyResult<Vec<u8>> {
    match datagram.len() {
        0..12 => Err(PyValueError::new_err("malformed")),
        12..=MAX_DATAGRAM => Ok(datagram.to_vec()),
        _ => Err(PyValueError::new_err("oversize")),
    }
}

#[pymethods]
impl PySrtp {
    #[new]
    fn new(profile: &str, rx: &[u8], tx: &[u8]) -> PyResult<Self> {
        let srtp = Profile::parse(profile).and_then(|profile| Srtp::new(profile, rx, tx));
        srtp.map(PySrtp).ok_or_else(|| PyValueError::new_err("keys and salts of another length"))
    }

    fn open_rtp<'py>(&mut self, py: Python<'py>, datagram: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let mut data = whole(datagram)?;
        let length = self.0.open_rtp(&mut data).map_err(refused)?;
        Ok(PyBytes::new(py, &data[..length]))
    }

    fn open_rtcp<'py>(&mut self, py: Python<'py>, datagram: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let mut data = whole(datagram)?;
        let length = self.0.open_rtcp(&mut data).map_err(refused)?;
        Ok(PyBytes::new(py, &data[..length]))
    }

    fn seal_rtp<'py>(&mut self, py: Python<'py>, packet: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let header = parse_header(packet).map_err(|_| PyValueError::new_err("malformed"))?.payload.0;
        let (mut data, slot) = (packet.to_vec(), self.0.slot(be32(packet, 8)));
        self.0.seal_rtp(slot, &mut data, 0, header).map_err(refused)?;
        Ok(PyBytes::new(py, &data))
    }

    fn seal_rtcp<'py>(&mut self, py: Python<'py>, packet: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let mut data = packet.to_vec();
        self.0.seal_rtcp(&mut data, 0).map_err(refused)?;
        Ok(PyBytes::new(py, &data))
    }
}
