//! An upgraded connection as the stream of bytes that an MQTT session reads and writes. Nothing is kept on either way: what is
//! read goes on as it comes, and each write is a frame of what the caller offers. So slow clients are felt as on TCP.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::frames::{GOING_AWAY, Over, Unframer, Words, binary};

/// How long a client that broke the rules may take to read why: to close with unread bytes would reset the connection.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A connection that is being upgraded.
type Coming<Io> = Pin<Box<dyn Future<Output = io::Result<Io>> + Send>>;

/// What frames go over.
pub trait Socket: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Socket for T {}

/// A client's WebSocket as bytes, over `Io`.
pub struct MqttStream<Io: Socket = TokioIo<Upgraded>> {
    below: Below<Io>,
    unframer: Unframer,
    /// Why nothing more is read.
    over: Option<Over>,
    /// When a client that broke the rules has had time to read why.
    patience: Option<Pin<Box<Sleep>>>,
    /// The header of the frame that is being written, and how much of its content is still to come.
    frame: (Words, usize),
    /// A control frame, which is written between frames.
    control: Words,
    /// The next one, if that one is half written.
    next: Option<Words>,
    /// Goodbye is said, or among them.
    is_closing: bool,
    /// What is given back with the connection.
    _places: Box<dyn Send>,
}

enum Below<Io> {
    /// The answer to the handshake is on its way.
    Coming(Coming<Io>),
    There(Io),
}

impl MqttStream {
    /// Over a connection that is being upgraded; holds `places` to its end.
    pub(in super::super) fn new(coming: OnUpgrade, places: impl Send + 'static) -> Self {
        let coming = async { coming.await.map(TokioIo::new).map_err(io::Error::other) };
        Self::over(Below::Coming(Box::pin(coming)), places)
    }
}

impl<Io: Socket> MqttStream<Io> {
    fn over(below: Below<Io>, places: impl Send + 'static) -> Self {
        Self {
            below,
            unframer: Unframer::default(),
            over: None,
            patience: None,
            frame: Default::default(),
            control: Words::default(),
            next: None,
            is_closing: false,
            _places: Box::new(places),
        }
    }

    /// Says something between frames. Only the last pong counts, and nothing after goodbye.
    fn say(&mut self, words: Words) {
        if self.is_closing {
            return;
        }
        if self.control.is_begun() && !self.control.is_done() {
            self.next = Some(words);
        } else {
            self.control = words;
        }
    }

    fn close(&mut self, code: u16) {
        self.say(Words::close(code));
        self.is_closing = true;
    }

    /// Whether a frame is written in part.
    fn is_within(&self) -> bool {
        let (header, content) = &self.frame;
        header.is_begun() && (*content > 0 || !header.is_done())
    }
}

impl<Io: Socket> MqttStream<Io> {
    fn poll_below(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut Io>> {
        if let Below::Coming(coming) = &mut self.below {
            let io = ready!(coming.as_mut().poll(cx))?;
            self.below = Below::There(io);
        }
        match &mut self.below {
            Below::There(io) => Poll::Ready(Ok(io)),
            Below::Coming(_) => Poll::Pending, // impossible, it has come
        }
    }

    /// Writes what is to be said between frames; within one it waits for the end of that.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_within() {
            if self.control.is_done() {
                match self.next.take() {
                    Some(next) => self.control = next,
                    None => break,
                }
            }
            let words = std::mem::take(&mut self.control);
            let wrote = self.poll_below(cx).map(|io| io.map(|io| Pin::new(io).poll_write(cx, words.left())));
            self.control = words;
            match wrote {
                Poll::Ready(Ok(Poll::Ready(wrote))) => self.control.wrote(moved(wrote)?),
                Poll::Ready(Ok(Poll::Pending)) | Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Answers goodbye; one who broke the rules is told so, and may read it.
    fn poll_over(&mut self, over: Over, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<()>> {
        let (code, refused) = match over {
            Over::Closed(code) => (code, None),
            Over::Refused { code, why } => (code, Some(why)),
        };
        self.close(code);
        let said = self.poll_control(cx);
        let Some(why) = refused else {
            return Poll::Ready(Ok(())); // the end, whether it was heard or not
        };
        let refused = || Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
        if let Poll::Ready(Err(_)) = said {
            return refused();
        }
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(LAST_WORDS)));
        if patience.as_mut().poll(cx).is_ready() {
            return refused();
        }
        loop {
            let mut rest = ReadBuf::new(scratch);
            let io = ready!(self.poll_below(cx))?;
            match ready!(Pin::new(io).poll_read(cx, &mut rest)) {
                Ok(()) if !rest.filled().is_empty() => {}
                Ok(()) | Err(_) => return refused(),
            }
        }
    }
}

/// A write that moved nothing is an error.
fn moved(wrote: io::Result<usize>) -> io::Result<usize> {
    wrote.and_then(|bytes| if bytes == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(bytes) })
}

impl<Io: Socket> AsyncRead for MqttStream<Io> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let bytes = buf.initialize_unfilled();
            if let Some(over) = this.over {
                return this.poll_over(over, cx, bytes);
            }
            if let Poll::Ready(Err(error)) = this.poll_control(cx) {
                return Poll::Ready(Err(error));
            }
            let mut raw = ReadBuf::new(bytes);
            let io = ready!(this.poll_below(cx))?;
            ready!(Pin::new(io).poll_read(cx, &mut raw))?;
            let raw = raw.filled_mut();
            if raw.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let taken = this.unframer.take(raw);
            this.over = taken.over;
            if let Some(pong) = taken.pong {
                this.say(pong);
            }
            if taken.content > 0 {
                buf.advance(taken.content);
                // Pending: whoever writes or reads next goes on with it
                return match this.poll_control(cx) {
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
                };
            }
        }
    }
}

impl<Io: Socket> AsyncWrite for MqttStream<Io> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if !this.is_within() {
            ready!(this.poll_control(cx))?;
            match this.over {
                // nothing may follow; whoever reads hears of the end when the client has had time to
                Some(Over::Refused { .. }) => return Poll::Pending,
                _ if this.is_closing => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                _ => {}
            }
            this.frame = (binary(buf.len()), buf.len());
        }
        loop {
            let (header, left) = (std::mem::take(&mut this.frame.0), this.frame.1);
            let content = buf.get(..left.min(buf.len())).unwrap_or(buf);
            let slices = [IoSlice::new(header.left()), IoSlice::new(content)];
            let wrote = this.poll_below(cx).map(|io| {
                io.map(|io| {
                    let io = Pin::new(io);
                    if header.is_done() { io.poll_write(cx, content) } else { io.poll_write_vectored(cx, &slices) }
                })
            });
            let of_header = header.left().len();
            this.frame.0 = header;
            let wrote = match wrote {
                Poll::Ready(Ok(Poll::Ready(wrote))) => moved(wrote)?,
                Poll::Ready(Ok(Poll::Pending)) | Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            };
            this.frame.0.wrote(wrote.min(of_header));
            if let Some(content) = wrote.checked_sub(of_header).filter(|content| *content > 0) {
                this.frame.1 -= content;
                return Poll::Ready(Ok(content));
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_control(cx))?;
        let io = ready!(this.poll_below(cx))?;
        Pin::new(io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_within() {
            this.close(GOING_AWAY);
            ready!(this.poll_control(cx))?;
        }
        let io = ready!(this.poll_below(cx))?;
        Pin::new(io).poll_shutdown(cx)
    }
}

impl<Io: Socket> Drop for MqttStream<Io> {
    /// Says goodbye, if the socket takes it.
    fn drop(&mut self) {
        if matches!(self.below, Below::There(_)) && !self.is_within() {
            self.close(GOING_AWAY);
            let _ = self.poll_control(&mut Context::from_waker(Waker::noop()));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio_tungstenite::WebSocketStream;
    use tungstenite::Message;
    use tungstenite::protocol::Role;

    use super::*;

    /// Our end, and a client's, with room for so many bytes between them.
    async fn pair(room: usize) -> (MqttStream<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (near, far) = duplex(room);
        (MqttStream::over(Below::There(near), ()), WebSocketStream::from_raw_socket(far, Role::Client, None).await)
    }

    #[tokio::test]
    async fn frames_stay_whole_however_little_the_socket_takes_and_pings_are_answered_between_them() {
        let (stream, client) = pair(7).await;
        let (mut reads, mut writes) = tokio::io::split(stream);
        let said: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
        let (mut to, mut from) = client.split();
        let says = async {
            for piece in said.chunks(999) {
                writes.write_all(piece).await.unwrap();
            }
            writes.flush().await.unwrap();
        };
        let pings = async {
            for n in 0..20_u8 {
                to.send(Message::Ping(vec![n; 125].into())).await.unwrap();
                to.send(Message::binary(vec![n; 50])).await.unwrap();
            }
        };
        let mut heard = Vec::new();
        let hears = async {
            let mut pong = None;
            while heard.len() < said.len() || pong != Some(19) {
                match from.next().await.unwrap().unwrap() {
                    Message::Binary(bytes) => heard.extend_from_slice(&bytes),
                    Message::Pong(bytes) => pong = bytes.first().copied(),
                    other => panic!("{other:?}"),
                }
            }
        };
        let mut content = vec![0; 20 * 50];
        tokio::join!(says, pings, hears, async { reads.read_exact(&mut content).await.unwrap() });
        assert!(heard == said && content.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at / 50));
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_broke_the_rules_is_told_so_and_has_a_second_to_read_it() {
        let (mut stream, mut client) = pair(1_000).await;
        client.send(Message::text("{}")).await.unwrap();
        let begun = tokio::time::Instant::now();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (io::ErrorKind::InvalidData, LAST_WORDS));
        let Message::Close(Some(frame)) = client.next().await.unwrap().unwrap() else { panic!("no goodbye") };
        assert_eq!(u16::from(frame.code), 1003);
    }

    #[tokio::test]
    async fn whoever_ends_it_says_goodbye_once() {
        let (stream, mut client) = pair(1_000).await;
        drop(stream);
        let Message::Close(Some(frame)) = client.next().await.unwrap().unwrap() else { panic!("no goodbye") };
        assert_eq!(u16::from(frame.code), GOING_AWAY);
        let (mut stream, mut client) = pair(1_000).await;
        client.close(None).await.unwrap();
        assert_eq!(stream.read_buf(&mut Vec::new()).await.unwrap(), 0);
        assert_eq!(stream.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        drop(stream);
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Close(None));
        assert!(client.next().await.is_none());
    }
}
