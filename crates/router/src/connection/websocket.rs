//! Where the frames of a WebSocket end (RFC 6455 5.2), so that a Close frame can be put between two of them.

/// Close frame of a server, unmasked, with status 1012 "service restart" (IANA WebSocket close codes).
pub(super) const CLOSE_SERVICE_RESTART: [u8; 4] = [0x88, 0x02, 0x03, 0xf4];

/// Follows the frames of one direction.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Header bytes of the frame that is being read.
    header: [u8; 14],
    header_len: usize,
    payload_left: u64,
}

impl Frames {
    /// True between two frames.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.header_len == 0 && self.payload_left == 0
    }

    /// Follows `bytes`, all of them.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = self.step(bytes);
            bytes = &bytes[used..];
        }
    }

    /// Follows `bytes` up to the end of the frame that is under way, and says how many of them belong to it.
    pub(super) fn follow_to_boundary(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        while !self.is_at_boundary() && used < bytes.len() {
            used += self.step(&bytes[used..]);
        }
        used
    }

    /// Uses at least one byte, never more than to the end of a frame. `bytes` is not empty.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.payload_left > 0 {
            let used = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
            self.payload_left -= used as u64;
            return used;
        }
        self.header[self.header_len] = bytes[0];
        self.header_len += 1;
        if let Some(payload) = self.payload_of_whole_header() {
            self.header_len = 0;
            self.payload_left = payload;
        }
        1
    }

    fn payload_of_whole_header(&self) -> Option<u64> {
        if self.header_len < 2 {
            return None;
        }
        let mask = if self.header[1] & 0x80 != 0 { 4 } else { 0 };
        let (extended, needed) = match self.header[1] & 0x7f {
            126 => (&self.header[2..4], 4 + mask),
            127 => (&self.header[2..10], 10 + mask),
            _ => (&self.header[1..2], 2 + mask),
        };
        if self.header_len < needed {
            return None;
        }
        let value = extended.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        Some(if extended.len() == 1 { value & 0x7f } else { value })
    }
}

#[cfg(test)]
mod tests {
    use super::Frames;

    fn frame(payload: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match payload {
            0..=125 => frame.push(mask | u8::try_from(payload).unwrap()),
            126..=65535 => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0xff; payload + if masked { 4 } else { 0 }]);
        frame
    }

    #[test]
    fn boundaries_are_found_however_the_bytes_are_cut() {
        for masked in [false, true] {
            let frames: Vec<_> = [0, 1, 125, 126, 300, 65535, 65536].iter().map(|size| frame(*size, masked)).collect();
            let bytes = frames.concat();
            for step in [1, 2, 3, 7, 1000, bytes.len()] {
                let mut follower = Frames::default();
                bytes.chunks(step).for_each(|chunk| follower.follow(chunk));
                assert!(follower.is_at_boundary(), "step {step}");
            }
            for whole in &frames {
                for cut in 1..whole.len().min(20) {
                    let mut follower = Frames::default();
                    follower.follow(&whole[..cut]);
                    assert_eq!(follower.is_at_boundary(), cut == whole.len());
                    let rest = [&whole[cut..], &frames[3]].concat();
                    assert_eq!(follower.follow_to_boundary(&rest), whole.len() - cut);
                    assert!(follower.is_at_boundary());
                }
            }
        }
    }
}
