//! Things by number, made mostly in ascending order and forgotten from the front.

use std::collections::VecDeque;

/// Sorted by number. Where the numbers follow each other without gaps, a look-up is one subtraction.
#[derive(Debug, Clone)]
pub struct Ordered<T> {
    items: VecDeque<(i64, T)>,
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Ordered { items: VecDeque::new() }
    }
}

impl<T> Ordered<T> {
    fn place(&self, number: i64) -> Result<usize, usize> {
        let (Some((first, _)), Some((last, _))) = (self.items.front(), self.items.back()) else {
            return Err(0);
        };
        if number > *last {
            return Err(self.items.len());
        }
        if number < *first {
            return Err(0);
        }
        let guess = number.abs_diff(*first) as usize;
        match self.items.get(guess) {
            Some((found, _)) if *found == number => Ok(guess),
            _ => self.items.binary_search_by_key(&number, |(n, _)| *n),
        }
    }

    pub fn get(&self, number: i64) -> Option<&T> {
        let place = self.place(number).ok()?;
        self.items.get(place).map(|(_, item)| item)
    }

    /// Puts an item in place of the one of that number, if there is one.
    pub fn put(&mut self, number: i64, item: T) {
        match self.place(number) {
            Ok(place) => self.items[place].1 = item,
            Err(place) => self.items.insert(place, (number, item)),
        }
    }

    pub fn get_mut(&mut self, number: i64) -> Option<&mut T> {
        let place = self.place(number).ok()?;
        self.items.get_mut(place).map(|(_, item)| item)
    }

    pub fn forget_before(&mut self, number: i64) {
        while self.items.front().is_some_and(|(first, _)| *first < number) {
            self.items.pop_front();
        }
    }

    pub fn clear(&mut self) {
        self.items.clear();
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_with_and_without_gaps() {
        let mut ordered = Ordered::default();
        for number in [5, 6, 7, 20, 9, -3, 8, 5] {
            ordered.put(number, number * 10);
        }
        for number in -10..30 {
            let known = [-3, 5, 6, 7, 8, 9, 20].contains(&number);
            assert_eq!(ordered.get(number).copied(), known.then_some(number * 10), "{number}");
        }
        ordered.forget_before(7);
        assert_eq!(ordered.values().copied().collect::<Vec<_>>(), [70, 80, 90, 200]);
        assert_eq!(ordered.get(6), None);
    }
}
