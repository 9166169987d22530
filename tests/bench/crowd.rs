//! Many MQTT clients in one thread, over epoll: the measuring side must not be the slow one. Allocates nothing per message
//! that arrives.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use socket2::{Domain, Socket, Type};

use super::mqtt;

/// What one of them received.
#[derive(Clone, Copy)]
pub(crate) enum News<'a> {
    /// It is connected, and subscribed if it wanted to be.
    In,
    /// The broker closed its socket before it was in.
    ShownOut,
    Message(&'a [u8]),
    PubAck,
}

struct Member {
    stream: TcpStream,
    id: String,
    filter: Option<String>,
    met: bool,
    is_in: bool,
    read: Vec<u8>,
    /// Sent at the end of the turn, in one piece.
    out: Vec<u8>,
    last_pkid: u16,
}

pub(crate) struct Crowd {
    port: u16,
    epoll: OwnedFd,
    members: Vec<Member>,
    ready: Vec<epoll::Event>,
}

impl Crowd {
    /// Empty, for the broker at this port.
    pub(crate) fn new(port: u16) -> io::Result<Self> {
        let none = epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { port, epoll, members: Vec::new(), ready: vec![none; 1024] })
    }

    /// One more client begins to connect, in the next place. [`News::In`] says when it is done.
    pub(crate) fn invite(&mut self, id: String, filter: Option<String>) -> io::Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)).into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        let (stream, place) = (TcpStream::from(socket), self.members.len());
        epoll::add(&self.epoll, &stream, epoll::EventData::new_u64(place as u64), epoll::EventFlags::OUT)?;
        let (read, out) = (Vec::new(), Vec::new());
        self.members.push(Member { stream, id, filter, met: false, is_in: false, read, out, last_pkid: 0 });
        Ok(())
    }

    /// Connects clients one after the other.
    pub(crate) fn assemble(&mut self, those: impl IntoIterator<Item = (String, Option<String>)>) -> io::Result<()> {
        for (id, filter) in those {
            self.invite(id, filter)?;
            let mut is_in = false;
            while !is_in {
                if !self.turn(Duration::from_secs(10), |_, news, _| is_in |= matches!(news, News::In))? {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
        Ok(())
    }

    /// Lets one of them publish at QoS 1; it is sent with the next [`Crowd::flush`] or at the end of the turn.
    pub(crate) fn publish(&mut self, who: usize, topic: &str, payload: &[u8]) {
        let member = &mut self.members[who];
        member.last_pkid = member.last_pkid.checked_add(1).unwrap_or(1);
        member.out.extend(mqtt::publish(topic, member.last_pkid, payload));
    }

    pub(crate) fn flush(&mut self, who: usize) -> io::Result<()> {
        self.members[who].flush()
    }

    /// Waits for something to arrive, reports it with the kernel's time of arrival, and answers messages. False when nothing
    /// comes in time.
    pub(crate) fn turn(
        &mut self,
        patience: Duration,
        mut tell: impl FnMut(usize, News<'_>, Instant),
    ) -> io::Result<bool> {
        let patience = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
        let count = epoll::wait(&self.epoll, self.ready.as_mut_slice(), Some(&patience))?;
        let at = Instant::now();
        for event in &self.ready[..count] {
            let data = event.data; // the structure is packed
            let who = data.u64() as usize;
            let member = &mut self.members[who];
            match member.turn(&self.epoll, data, |news| tell(who, news, at)) {
                Err(_) if !member.is_in => {
                    epoll::delete(&self.epoll, &member.stream)?;
                    tell(who, News::ShownOut, at);
                }
                other => other?,
            }
        }
        Ok(count > 0)
    }
}

impl Member {
    fn turn(&mut self, epoll: &OwnedFd, data: epoll::EventData, tell: impl FnMut(News<'_>)) -> io::Result<()> {
        if self.met {
            self.take(tell)?;
        } else {
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            self.met = true;
            self.out.extend(mqtt::connect(&self.id));
            epoll::modify(epoll, &self.stream, data, epoll::EventFlags::IN)?;
        }
        self.flush()
    }

    fn take(&mut self, mut tell: impl FnMut(News<'_>)) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => self.read.extend(&chunk[..n]),
        }
        let mut done = 0;
        while let Some((first, body)) = mqtt::whole(&self.read[done..]) {
            let body = done + body.start..done + body.end;
            done = body.end;
            let body = &self.read[body];
            match first {
                0x20 if body[1] != 0 => return Err(io::ErrorKind::ConnectionRefused.into()),
                0x20 => match &self.filter {
                    Some(filter) => self.out.extend(mqtt::subscribe(filter)),
                    None => {
                        self.is_in = true;
                        tell(News::In);
                    }
                },
                0x90 if body.last() != Some(&1) => return Err(io::ErrorKind::PermissionDenied.into()),
                0x90 => {
                    self.is_in = true;
                    tell(News::In);
                }
                0x32 => {
                    let topic = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                    self.out.extend(mqtt::puback(u16::from_be_bytes([body[topic], body[topic + 1]])));
                    tell(News::Message(&body[mqtt::behind_properties(body, topic + 2)..]));
                }
                0x40 => tell(News::PubAck),
                // also a message that is sent again, which no broker has a reason to do here
                _ => return Err(io::Error::other(format!("an unexpected packet: {first:#x}"))),
            }
        }
        self.read.drain(..done);
        Ok(())
    }

    /// What is on its way is always far less than a socket's buffer, so there is no need to wait for room.
    fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }
}
