//! The parsers alone, as plain values: for tests that hold them against those of Python, byte for byte.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::dependency::DependencyReader;
use crate::descriptor::{self, Descriptor};
use crate::framing;
use crate::keyframe::KeyframeTest;
use crate::red;
use crate::rtcp::{self, Packet};
use crate::rtp::{self, Malformed};

fn malformed(_: Malformed) -> PyErr {
    PyValueError::new_err("malformed")
}

type Header = (u8, u16, u32, u32, u16, usize, usize, usize, usize);

/// As `sfu.rtp.Header`, without its first byte.
#[pyfunction]
fn parse_header(data: &[u8]) -> PyResult<Header> {
    let header = rtp::parse_header(data).map_err(malformed)?;
    let (extension, payload) = (header.extension, header.payload);
    let fields = (header.second, header.sequence, header.timestamp, header.ssrc, header.profile);
    Ok((fields.0, fields.1, fields.2, fields.3, fields.4, extension.0, extension.1, payload.0, payload.1))
}

/// Ids and values.
#[pyfunction]
fn parse_extensions<'py>(py: Python<'py>, profile: u16, data: &[u8]) -> PyResult<Vec<(u8, Bound<'py, PyBytes>)>> {
    let values = rtp::Extensions::parse(profile, data).map_err(malformed)?;
    let present = (1..=255).filter_map(|id| values.get(id).map(|value| (id, PyBytes::new(py, value))));
    Ok(present.collect())
}

/// One tuple for each packet, and for each report in it, its kind first.
#[pyfunction]
fn parse_rtcp<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for packet in rtcp::parse_compound(data).map_err(malformed)? {
        match packet {
            Packet::Sender { ssrc, ntp, timestamp } => list.append(("sender", ssrc, ntp, timestamp))?,
            Packet::Report(told) => {
                let times = (told.jitter, told.last_sr, told.delay);
                let counts = (told.fraction_lost, told.lost, told.highest_sequence);
                list.append(("report", told.ssrc, counts.0, counts.1, counts.2, times.0, times.1, times.2))?;
            }
            Packet::Nack { media, sequences } => list.append(("nack", media, sequences))?,
            Packet::Pli { media } => list.append(("pli", media))?,
            Packet::Fir { ssrcs } => list.append(("fir", ssrcs))?,
            Packet::Feedback(told) => {
                list.append(("feedback", told.base, told.count, told.reference, told.index, told.arrivals))?;
            }
            Packet::Remb { bitrate } => list.append(("remb", bitrate))?,
            Packet::Bye { ssrcs } => list.append(("bye", ssrcs))?,
        }
    }
    Ok(list)
}

type Told = ((i32, i32, bool, bool, i32, bool), (i32, usize, u8, i32, usize));

/// The fields of `sfu.descriptor.Descriptor` in their order, in two parts.
fn told(descriptor: &Descriptor) -> Told {
    let Descriptor { spatial, temporal, end, fresh, raises, sync, .. } = *descriptor;
    let Descriptor { picture, picture_at, picture_bits, tl0, tl0_at, .. } = *descriptor;
    ((spatial, temporal, end, fresh, raises, sync), (picture, picture_at, picture_bits, tl0, tl0_at))
}

/// The payload descriptor of VP8 or VP9, and the payload with so much subtracted from its counters.
#[pyfunction]
fn describe<'py>(
    py: Python<'py>,
    codec: &str,
    payload: &[u8],
    pictures: i32,
    tl0: i32,
) -> Option<(Told, Bound<'py, PyBytes>)> {
    let found = if codec == "VP8" { descriptor::vp8(payload)? } else { descriptor::vp9(payload)? };
    let mut moved = payload.to_vec();
    descriptor::rewrite(&mut moved, &found, pictures, tl0);
    Some((told(&found), PyBytes::new(py, &moved)))
}

/// Whether the payload starts a key frame; None for an unknown codec.
#[pyfunction]
fn starts_keyframe(codec: &str, parameter_sets: bool, payload: &[u8]) -> Option<bool> {
    KeyframeTest::of(codec, parameter_sets).map(|test| test.starts(payload))
}

type Block<'py> = (i64, Bound<'py, PyBytes>);

/// The redundant blocks and the packet's own data.
#[pyfunction]
fn split_red<'py>(
    py: Python<'py>,
    payload: &[u8],
    payload_type: u8,
) -> PyResult<(Vec<Block<'py>>, Bound<'py, PyBytes>)> {
    let (blocks, own) = red::split(payload, payload_type).map_err(malformed)?;
    let blocks = blocks.into_iter().map(|(offset, data)| (offset, PyBytes::new(py, data)));
    Ok((blocks.collect(), PyBytes::new(py, own)))
}

/// The payload with another payload type in its headers.
#[pyfunction]
fn retype_red<'py>(py: Python<'py>, payload: &[u8], redundant: u8, payload_type: u8) -> Bound<'py, PyBytes> {
    let mut moved = payload.to_vec();
    red::retype(&mut moved, redundant, payload_type);
    PyBytes::new(py, &moved)
}

/// As `sfu.dependency.DependencyReader`.
#[pyclass(name = "Dependencies")]
struct Dependencies(DependencyReader);

#[pymethods]
impl Dependencies {
    #[new]
    fn new() -> Self {
        Dependencies(DependencyReader::default())
    }

    fn read(&mut self, data: &[u8], sequence: i64, timestamp: i64) -> Option<Told> {
        self.0.read(data, sequence, timestamp).as_ref().map(told)
    }

    /// The last descriptor as it is passed on.
    fn rewrite<'py>(&self, py: Python<'py>, moved: i32, limits: Option<(i32, i32)>) -> Option<Bound<'py, PyBytes>> {
        self.0.whole.as_ref().map(|whole| PyBytes::new(py, &whole.rewrite(moved, limits)))
    }
}

/// As `sfu.framing.Deframer`.
#[pyclass]
struct Deframer(framing::Deframer);

#[pymethods]
impl Deframer {
    #[new]
    fn new(rest: &[u8]) -> Self {
        Deframer(framing::Deframer::new(rest))
    }

    fn feed<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyList>> {
        let mut found: Vec<Vec<u8>> = Vec::new();
        let fed = self.0.feed(&mut data.to_vec(), &mut |datagram: &mut [u8]| found.push(datagram.to_vec()));
        fed.map_err(|_| PyValueError::new_err("framing"))?;
        PyList::new(py, found.iter().map(|datagram| PyBytes::new(py, datagram)))
    }
}

pub fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(parse_header, module)?)?;
    module.add_function(wrap_pyfunction!(parse_extensions, module)?)?;
    module.add_function(wrap_pyfunction!(parse_rtcp, module)?)?;
    module.add_function(wrap_pyfunction!(describe, module)?)?;
    module.add_function(wrap_pyfunction!(starts_keyframe, module)?)?;
    module.add_function(wrap_pyfunction!(split_red, module)?)?;
    module.add_function(wrap_pyfunction!(retype_red, module)?)?;
    module.add_class::<Deframer>()?;
    module.add_class::<Dependencies>()
}
