//! Memory that vectors are at home in, and where images lie in it.

/// Numbers in a line of a cache, which no vector is longer than.
pub(crate) const LINE: usize = 16;

/// A line of a cache.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// f32 that begin on a line of the cache: vectors that lie across two take twice as long.
#[derive(Debug, Clone)]
pub(crate) struct Lines(Vec<Line>);

impl Lines {
    /// At least `count` zeros.
    pub(crate) fn zeros(count: usize) -> Self {
        Self(vec![Line([0.0; LINE]); count.div_ceil(LINE)])
    }

    /// How many numbers.
    pub(crate) fn len(&self) -> usize {
        self.0.len() * LINE
    }

    pub(crate) fn as_ptr(&self) -> *const f32 {
        self.0.as_ptr().cast()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.0.as_mut_ptr().cast()
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: the numbers of all lines, which have no gaps between them.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len()) }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        // SAFETY: as above; any four bytes of a number are bytes.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), self.len() * size_of::<f32>()) }
    }

    pub(crate) fn as_mut_bytes(&mut self) -> &mut [u8] {
        // SAFETY: as above; any four bytes are a number.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), self.len() * size_of::<f32>()) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.len()) }
    }
}

/// `count` rounded up to whole lines.
pub(crate) const fn whole_lines(count: usize) -> usize {
    count.next_multiple_of(LINE)
}

/// An image that is read: row × column × channel.
#[derive(Clone, Copy)]
pub(crate) struct Source<E = f32> {
    /// Its first pixel, or wherever a kernel's first tap is.
    pub at: *const E,
    /// Numbers from a row to the next.
    pub row: usize,
    /// Numbers from a pixel to the next.
    pub pixel: usize,
}

impl<E> Source<E> {
    /// Where a channel of a pixel is.
    ///
    /// # Safety
    /// It is in the image.
    #[inline(always)]
    pub(crate) unsafe fn of(&self, row: usize, column: usize, channel: usize) -> *const E {
        // SAFETY: the caller's promise.
        unsafe { self.at.add(row * self.row + column * self.pixel + channel) }
    }
}

/// An image that is written: row × column × channel.
#[derive(Clone, Copy)]
pub(crate) struct Place<E = f32> {
    /// The first pixel.
    pub at: *mut E,
    /// Numbers from a row to the next.
    pub row: usize,
    /// Numbers from a pixel to the next.
    pub pixel: usize,
}

impl<E> Place<E> {
    /// Where a channel of a pixel is.
    ///
    /// # Safety
    /// It is in the image.
    #[inline(always)]
    pub(crate) unsafe fn of(&self, row: usize, column: usize, channel: usize) -> *mut E {
        // SAFETY: the caller's promise.
        unsafe { self.at.add(row * self.row + column * self.pixel + channel) }
    }

    /// The same to be read.
    pub(crate) fn source(&self) -> Source<E> {
        Source { at: self.at, row: self.row, pixel: self.pixel }
    }
}
