//! What Python sees: one class, whose calls give back plain tuples; `sfu/plane/compiled.py` makes a `Plane` of it.
//!
//! Every call lets go of the interpreter before it waits for the plane.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::atomic::Ordering;
use std::sync::Arc;

use pyo3::exceptions::{PyKeyError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::directory::Directory;
use crate::incoming::{SourceSpec, TapPacket};
use crate::io::Shared;
use crate::layers::Layers;
use crate::outbox::Route;
use crate::outgoing::{Format, SinkSpec};
use crate::plane::{Event, Misuse, Plane};
use crate::rtp::ExtensionIds;
use crate::slab::Key;
use crate::srtp::{Profile, Srtp};

fn system(error: io::Error) -> PyErr {
    PyOSError::new_err(error.to_string())
}

impl From<Misuse> for PyErr {
    fn from(misuse: Misuse) -> Self {
        match misuse {
            Misuse::Taken(text) => PyValueError::new_err(text),
            Misuse::Absent(name) => PyKeyError::new_err(name),
        }
    }
}

/// A socket address as Python's sockets give it, the number of a connection in a tuple, or that of something else.
fn route(value: &Bound<'_, PyAny>) -> PyResult<Route> {
    let Ok(parts) = value.cast::<PyTuple>() else { return Ok(Route::Handle(value.extract()?)) };
    if parts.len() == 1 {
        return Ok(Route::Stream(parts.get_item(0)?.extract()?));
    }
    let host: String = parts.get_item(0)?.extract()?;
    let port: u16 = parts.get_item(1)?.extract()?;
    let ip: IpAddr = host.split('%').next().unwrap_or("").parse().map_err(|_| PyValueError::new_err(host.clone()))?;
    let scope = if parts.len() > 3 { parts.get_item(3)?.extract()? } else { 0 };
    Ok(Route::Udp(match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope)),
    }))
}

fn shown<'py>(py: Python<'py>, route: &Route) -> PyResult<Bound<'py, PyAny>> {
    Ok(match route {
        Route::Udp(SocketAddr::V4(address)) => (address.ip().to_string(), address.port()).into_pyobject(py)?.into_any(),
        Route::Udp(SocketAddr::V6(address)) => {
            (address.ip().to_string(), address.port(), 0, address.scope_id()).into_pyobject(py)?.into_any()
        }
        Route::Stream(number) => (*number,).into_pyobject(py)?.into_any(),
        Route::Handle(handle) => handle.into_pyobject(py)?.into_any(),
    })
}

fn extensions(spec: &Bound<'_, PyAny>) -> PyResult<ExtensionIds> {
    let ids = spec.getattr("extensions")?;
    Ok(ExtensionIds {
        mid: ids.getattr("mid")?.extract()?,
        audio_level: ids.getattr("audio_level")?.extract()?,
        abs_send_time: ids.getattr("abs_send_time")?.extract()?,
        transport_cc: ids.getattr("transport_cc")?.extract()?,
        rid: ids.getattr("rid")?.extract()?,
        repaired_rid: ids.getattr("repaired_rid")?.extract()?,
        dependency_descriptor: ids.getattr("dependency_descriptor")?.extract()?,
    })
}

fn source_spec(spec: &Bound<'_, PyAny>) -> PyResult<SourceSpec> {
    let codec = spec.getattr("codec")?;
    Ok(SourceSpec {
        id: spec.getattr("id")?.extract()?,
        video: spec.getattr("kind")?.extract::<String>()? == "video",
        codec: codec.getattr("name")?.extract()?,
        clock_rate: codec.getattr("clock_rate")?.extract()?,
        parameter_sets: codec.getattr("parameters")?.contains("sprop-parameter-sets")?,
        mid: spec.getattr("mid")?.extract()?,
        payload_type: spec.getattr("payload_type")?.extract()?,
        rtx_payload_type: spec.getattr("rtx_payload_type")?.extract()?,
        ssrc: spec.getattr("ssrc")?.extract()?,
        rtx_ssrc: spec.getattr("rtx_ssrc")?.extract()?,
        extensions: extensions(spec)?,
        nack: spec.getattr("nack")?.extract()?,
        rid: spec.getattr("rid")?.extract()?,
        red_payload_type: spec.getattr("red_payload_type")?.extract()?,
    })
}

fn sink_spec(spec: &Bound<'_, PyAny>) -> PyResult<SinkSpec> {
    let mut formats = Vec::new();
    for format in spec.getattr("formats")?.try_iter()? {
        let format = format?;
        formats.push(Format {
            codec: format.getattr("codec")?.extract()?,
            payload_type: format.getattr("payload_type")?.extract()?,
            rtx_payload_type: format.getattr("rtx_payload_type")?.extract()?,
        });
    }
    Ok(SinkSpec {
        id: spec.getattr("id")?.extract()?,
        source: spec.getattr("source")?.extract()?,
        mid: spec.getattr("mid")?.extract()?,
        payload_type: spec.getattr("payload_type")?.extract()?,
        rtx_payload_type: spec.getattr("rtx_payload_type")?.extract()?,
        ssrc: spec.getattr("ssrc")?.extract()?,
        rtx_ssrc: spec.getattr("rtx_ssrc")?.extract()?,
        extensions: extensions(spec)?,
        cname: spec.getattr("cname")?.extract()?,
        nack: spec.getattr("nack")?.extract()?,
        red_payload_type: spec.getattr("red_payload_type")?.extract()?,
        formats,
        house_clock: spec.getattr("house_clock")?.extract()?,
    })
}

fn event(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyAny>> {
    Ok(match event {
        Event::Level { source, level, voice, time } => {
            ("level", source, level, voice, time).into_pyobject(py)?.into_any()
        }
        Event::SenderReport { source, ntp, timestamp, arrival } => {
            ("report", source, ntp, timestamp, arrival).into_pyobject(py)?.into_any()
        }
        Event::KeyframeWanted { source, sink } => ("keyframe", source, sink).into_pyobject(py)?.into_any(),
        Event::Ended { source } => ("ended", source).into_pyobject(py)?.into_any(),
        Event::Switched { sink, source } => ("switched", sink, source).into_pyobject(py)?.into_any(),
        Event::Estimate { transport, bits_per_second } => {
            ("estimate", transport, bits_per_second).into_pyobject(py)?.into_any()
        }
    })
}

/// The plane. Synchronous as it is made: what leaves is fetched with `take_sent`. With `serve` it works on a socket.
#[pyclass(frozen, name = "Core")]
struct Core {
    shared: Arc<Shared>,
}

impl Core {
    fn with<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut Plane) -> R + Send) -> R {
        py.detach(|| self.shared.with(work))
    }

    /// What comes from there is the transport's.
    fn own(&self, py: Python<'_>, from: Route, transport: Key) {
        py.detach(|| match from {
            Route::Udp(from) => self.shared.directory.bind(from, self.shared.worker, transport),
            Route::Stream(number) => self.shared.with_streams(|streams| streams.bind(number, Some(transport))),
            Route::Handle(_) => {}
        });
    }
}

#[pymethods]
impl Core {
    /// The `worker`th of those that share the directory.
    #[new]
    fn new(seed: u64, cname: &str, directory: &PyDirectory, worker: usize) -> PyResult<Self> {
        let directory = Arc::clone(&directory.0);
        if worker >= directory.mailboxes.len() {
            return Err(PyValueError::new_err(format!("there is no worker {worker}")));
        }
        let shared = Shared::new(Plane::new(seed, cname), directory, worker).map_err(system)?;
        Ok(Core { shared: Arc::new(shared) })
    }

    fn add_transport(
        &self,
        py: Python<'_>,
        name: &str,
        profile: &str,
        rx: &[u8],
        tx: &[u8],
        to: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let to = route(to)?;
        let profile = Profile::parse(profile).ok_or_else(|| PyValueError::new_err(profile.to_owned()))?;
        let srtp = Srtp::new(profile, rx, tx)
            .ok_or_else(|| PyValueError::new_err(format!("{profile:?} takes keys and salts of another length")))?;
        let key = self.with(py, |plane| plane.add_transport(name, srtp, to))?;
        self.own(py, to, key);
        Ok(())
    }

    fn set_route(&self, py: Python<'_>, name: &str, to: &Bound<'_, PyAny>) -> PyResult<()> {
        let to = route(to)?;
        let key = self.with(py, |plane| plane.set_route(name, to))?;
        self.own(py, to, key);
        Ok(())
    }

    /// The ids of the sources and of the sinks that are gone with it.
    fn remove_transport(&self, py: Python<'_>, name: &str) -> (Vec<String>, Vec<String>) {
        let Some((key, sources, sinks)) = self.with(py, |plane| plane.remove_transport(name)) else {
            return Default::default();
        };
        py.detach(|| {
            self.shared.directory.leave(self.shared.worker, key);
            self.shared.with_streams(|streams| streams.leave(key));
        });
        (sources, sinks)
    }

    fn set_bitrate(&self, py: Python<'_>, name: &str, cap: Option<i64>) -> PyResult<()> {
        Ok(self.with(py, |plane| plane.transport_mut(name).map(|transport| transport.rate.set_cap(cap)))?)
    }

    fn set_redundancy(&self, py: Python<'_>, name: &str, wanted: bool) -> PyResult<()> {
        Ok(self.with(py, |plane| plane.transport_mut(name).map(|transport| transport.redundancy = wanted))?)
    }

    fn set_wanted_bitrate(&self, py: Python<'_>, name: &str, wanted: f64) -> PyResult<()> {
        Ok(self.with(py, |plane| plane.transport_mut(name).map(|transport| transport.wanted_bitrate = wanted))?)
    }

    fn add_source(&self, py: Python<'_>, transport: &str, spec: &Bound<'_, PyAny>) -> PyResult<()> {
        let spec = source_spec(spec)?;
        Ok(self.with(py, |plane| plane.add_source(transport, spec))?)
    }

    fn pause_source(&self, py: Python<'_>, name: &str, paused: bool) {
        self.with(py, |plane| plane.pause_source(name, paused));
    }

    fn remove_source(&self, py: Python<'_>, name: &str) {
        self.with(py, |plane| plane.remove_source(name));
    }

    /// `tap` is the number that the packets come back with; None for no tap. False without such a source.
    fn set_tap(&self, py: Python<'_>, name: &str, tap: Option<u64>) -> bool {
        self.with(py, |plane| plane.source_mut(name).map(|source| source.set_tap(tap)).is_some())
    }

    fn request_keyframe(&self, py: Python<'_>, name: &str, now: f64) -> bool {
        self.with(py, |plane| plane.request_keyframe(name, now))
    }

    fn add_sink(&self, py: Python<'_>, transport: &str, spec: &Bound<'_, PyAny>) -> PyResult<()> {
        let spec = sink_spec(spec)?;
        Ok(self.with(py, |plane| plane.add_sink(transport, spec))?)
    }

    fn pause_sink(&self, py: Python<'_>, name: &str, paused: bool) {
        self.with(py, |plane| plane.pause_sink(name, paused));
    }

    fn aim_sink(
        &self,
        py: Python<'_>,
        name: &str,
        source: &str,
        spatial: Option<i32>,
        temporal: Option<i32>,
    ) -> PyResult<()> {
        Ok(self.with(py, |plane| plane.aim_sink(name, source, Layers { spatial, temporal }))?)
    }

    fn remove_sink(&self, py: Python<'_>, name: &str) {
        self.with(py, |plane| plane.remove_sink(name));
    }

    // --- packets and time ---

    fn receive(&self, py: Python<'_>, transport: &str, datagram: &[u8], now: f64) {
        let mut data = datagram.to_vec();
        self.with(py, |plane| {
            let key = plane.transport_names.get(transport).copied();
            plane.receive(key, &mut data, now);
        });
    }

    fn tick(&self, py: Python<'_>, now: f64) {
        self.with(py, |plane| plane.tick(now));
    }

    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let events = self.with(py, Plane::drain);
        let events: PyResult<Vec<_>> = events.into_iter().map(|told| event(py, told)).collect();
        PyList::new(py, events?)
    }

    /// What has left since the last call: routes (or their numbers) and datagrams.
    fn take_sent<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let out = py.detach(|| self.shared.with(|plane| std::mem::take(&mut plane.out)));
        let sent = PyList::empty(py);
        for entry in &out.entries {
            let data = PyBytes::new(py, &out.arena[entry.start as usize..entry.end as usize]);
            sent.append((shown(py, &entry.route)?, data))?;
        }
        Ok(sent)
    }

    /// What taps are to see, by their numbers.
    fn take_tapped<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let tapped = self.with(py, |plane| {
            let mut tapped: Vec<(u64, Vec<TapPacket>)> = Vec::new();
            for key in plane.sources.order.clone() {
                let Some(source) = plane.sources.get_mut(key).filter(|source| !source.tapped.is_empty()) else {
                    continue;
                };
                if let Some(tap) = source.tap {
                    tapped.push((tap, std::mem::take(&mut source.tapped)));
                }
            }
            tapped
        });
        let all = PyList::empty(py);
        for (tap, packets) in tapped {
            let list = PyList::empty(py);
            for TapPacket { packet, lost } in packets {
                let payload = PyBytes::new(py, &packet.payload);
                let (sequence, timestamp, marker) = (packet.sequence, packet.timestamp, packet.marker != 0);
                list.append((sequence, timestamp, packet.arrival, marker, packet.keyframe, lost, payload))?;
            }
            all.append((tap, list))?;
        }
        Ok(all)
    }

    // --- counters ---

    fn layer_rates(&self, py: Python<'_>, name: &str) -> Vec<((i32, i32), f64)> {
        self.with(py, |plane| plane.source_mut(name).map(|source| source.rates.rates()).unwrap_or_default())
    }

    /// In the order of `sfu.plane.TransportStats`.
    #[allow(clippy::type_complexity)]
    fn transport_stats(&self, py: Python<'_>, name: &str) -> Option<(f64, f64, f64, Option<f64>, f64, &'static str)> {
        self.with(py, |plane| {
            let transport = plane.transports.get(*plane.transport_names.get(name)?)?;
            let stats = transport.stats(&plane.sinks, plane.now);
            let rates = (stats.estimate, stats.sent_bitrate, stats.pacer_delay);
            Some((rates.0, rates.1, rates.2, stats.round_trip, stats.loss, stats.feedback))
        })
    }

    /// In the order of `sfu.plane.SourceStats`.
    #[allow(clippy::type_complexity)]
    fn source_stats(&self, py: Python<'_>, name: &str) -> Option<(u64, u64, i64, u64, u64, u64, u64, f64, u64)> {
        self.with(py, |plane| {
            let source = plane.source_mut(name)?;
            let lost = source.nack.as_ref().map_or(0, |nack| nack.given_up);
            let (retransmitted, keyframes) = (source.retransmitted, source.keyframes);
            let (nacks, plis, jitter) = (source.nacks_sent, source.plis_sent, source.reception.jitter);
            Some((source.packets, source.bytes, lost, nacks, retransmitted, keyframes, plis, jitter, source.recovered))
        })
    }

    /// In the order of `sfu.plane.SinkStats`.
    fn sink_stats(&self, py: Python<'_>, name: &str) -> Option<(u64, u64, u64, u64, f64, Option<f64>)> {
        self.with(py, |plane| {
            let sink = plane.sinks.get(*plane.sink_names.get(name)?)?;
            let (nacks, again) = (sink.nacks_received, sink.retransmissions);
            Some((sink.packets, sink.octets, nacks, again, sink.fraction_lost, sink.round_trip))
        })
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<(u64, u64, Bound<'py, PyDict>)> {
        let (packets_in, packets_out, mut dropped) =
            self.with(py, |plane| (plane.packets_in, plane.packets_out, plane.dropped.0.clone()));
        for (reason, count) in py.detach(|| self.shared.refused()) {
            *dropped.entry(reason).or_default() += count;
        }
        let counts = PyDict::new(py);
        for (reason, count) in dropped.into_iter().filter(|(_, count)| *count > 0) {
            counts.set_item(reason, count)?;
        }
        Ok((packets_in, packets_out, counts))
    }

    /// Datagrams that other workers handed to this one.
    fn handed(&self) -> u64 {
        self.shared.directory.mailboxes[self.shared.worker].handed.load(Ordering::Relaxed)
    }

    // --- the socket ---

    /// Hands a UDP socket to the plane's thread; `wake` is an eventfd that is written when `poll` has something.
    fn serve(&self, py: Python<'_>, socket: i32, wake: i32) -> PyResult<()> {
        py.detach(|| self.shared.serve(socket, wake)).map_err(system)
    }

    /// Ends the thread: the socket is the caller's again.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.shared.stop());
    }

    /// Takes over a TCP connection, which has this number from now on. `socket` is the plane's to close, even where this
    /// raises; `rest` is the beginning of a frame that was read already.
    fn adopt(&self, py: Python<'_>, number: u64, socket: i32, rest: &[u8]) -> PyResult<()> {
        let socket = crate::system::owned(socket).map_err(system)?;
        py.detach(|| self.shared.with_streams(|streams| streams.adopt(number, socket, rest))).map_err(system)
    }

    /// Sends or drops.
    fn send_stream(&self, py: Python<'_>, number: u64, datagram: &[u8]) {
        py.detach(|| self.shared.send_stream(number, datagram));
    }

    /// Closes a connection at once; nothing is told of it any more.
    fn close_stream(&self, py: Python<'_>, number: u64) {
        py.detach(|| self.shared.with_streams(|streams| streams.close(number)));
    }

    /// Datagrams that are not for the plane, with where they came from; datagrams that leave by routes of other kinds;
    /// connections that have ended.
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>, Vec<u64>)> {
        let upward = py.detach(|| self.shared.take_upward());
        let (came, leave) = (PyList::empty(py), PyList::empty(py));
        for (from, data) in upward.control.iter().chain(&upward.strangers) {
            came.append((shown(py, from)?, PyBytes::new(py, data)))?;
        }
        for (handle, data) in &upward.others {
            leave.append((*handle, PyBytes::new(py, data)))?;
        }
        Ok((came, leave, upward.ended))
    }

    /// Media from there belongs to the transport from now on. Nothing happens without such a transport.
    fn bind(&self, py: Python<'_>, from: &Bound<'_, PyAny>, transport: &str) -> PyResult<()> {
        let from = route(from)?;
        if let Ok(key) = self.with(py, |plane| plane.transport(transport)) {
            self.own(py, from, key);
        }
        Ok(())
    }

    fn unbind(&self, py: Python<'_>, from: &Bound<'_, PyAny>) -> PyResult<()> {
        let from = route(from)?;
        py.detach(|| match from {
            Route::Udp(from) => self.shared.directory.unbind(&from),
            Route::Stream(number) => self.shared.with_streams(|streams| streams.bind(number, None)),
            Route::Handle(_) => {}
        });
        Ok(())
    }

    /// Addresses and connections that media of this worker came from since the last call, and whose it was.
    fn heard<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let heard = py.detach(|| {
            let by_udp = self.shared.directory.heard(self.shared.worker).into_iter();
            let by_tcp = self.shared.with_streams(|streams| streams.heard()).into_iter();
            let by_tcp = by_tcp.map(|(number, key)| (Route::Stream(number), key));
            let all: Vec<_> = by_udp.map(|(from, key)| (Route::Udp(from), key)).chain(by_tcp).collect();
            self.shared.with(|plane| {
                let name = |key| plane.transports.get(key).map(|transport| transport.name.clone());
                all.into_iter().filter_map(|(from, key)| Some((from, name(key)?))).collect::<Vec<_>>()
            })
        });
        let list = PyList::empty(py);
        for (from, name) in heard {
            list.append((shown(py, &from)?, name))?;
        }
        Ok(list)
    }
}

/// What the workers of one plane know of each other.
#[pyclass(frozen, name = "Directory")]
struct PyDirectory(Arc<Directory>);

#[pymethods]
impl PyDirectory {
    #[new]
    fn new(workers: usize) -> PyResult<Self> {
        Ok(PyDirectory(Arc::new(Directory::new(workers).map_err(system)?)))
    }
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    crate::parsing::install(module)?;
    module.add_class::<crate::sealing::PySrtp>()?;
    module.add_class::<PyDirectory>()?;
    module.add_class::<Core>()
}
