//! The order of neurons in the packed file: hot ones first, so that they lie together. The order is stored in the index and
//! changes no bit of any result: sums run over the source's neuron numbers.

use crate::TILE;

/// For each layer, nothing (the source's order) or for each expert the source's neuron at every position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NeuronOrder {
    /// One entry a layer; `None` keeps the source's order. Inside: `[expert][position] = neuron`.
    pub layers: Vec<Option<Vec<Vec<u32>>>>,
}

impl NeuronOrder {
    /// The neuron of the source that stands at `position`.
    pub fn neuron(&self, layer: u32, expert: u32, position: u32) -> u32 {
        match self.layers.get(layer as usize) {
            Some(Some(experts)) => experts[expert as usize][position as usize],
            _ => position,
        }
    }

    /// The order of one expert, or `None` where it is the source's.
    pub fn of(&self, layer: u32, expert: u32) -> Option<&[u32]> {
        self.layers
            .get(layer as usize)?
            .as_ref()?
            .get(expert as usize)
            .map(Vec::as_slice)
    }
}

/// Why `order` is not an order of `neurons` neurons, if it is not.
pub(crate) fn fault_of(order: &[u32], neurons: u32, tiles: bool) -> Option<String> {
    if order.len() != neurons as usize {
        return Some(format!("order of {} positions; {neurons} neurons", order.len()));
    }
    let mut seen = vec![false; order.len()];
    for (position, &neuron) in order.iter().enumerate() {
        match seen.get_mut(neuron as usize) {
            None => return Some(format!("neuron {neuron} at position {position}; below {neurons}")),
            Some(true) => {
                return Some(format!(
                    "neuron {neuron} stands twice, again at position {position}; each stands once"
                ));
            }
            Some(unseen) => *unseen = true,
        }
    }
    if tiles {
        let broken = order.chunks(TILE as usize).position(|tile| {
            !tile[0].is_multiple_of(TILE) || tile.iter().enumerate().any(|(i, &neuron)| neuron != tile[0] + i as u32)
        });
        if let Some(tile) = broken {
            return Some(format!(
                "tile {tile} of the order is cut; tiles of {TILE} neurons stay whole (see whole_tiles)"
            ));
        }
    }
    None
}

/// The nearest order that keeps tiles of 32 whole: tiles sorted by the sum of their neurons' positions in `order`, earliest
/// first. `order` is a permutation of a multiple of 32 neurons; a rest that fills no tile stays behind, in order.
pub fn whole_tiles(order: &[u32]) -> Vec<u32> {
    let tiles = order.len() / TILE as usize;
    let mut sums: Vec<(u64, u32)> = (0..tiles as u32).map(|tile| (0, tile)).collect();
    for (position, &neuron) in order.iter().enumerate() {
        if let Some(entry) = sums.get_mut((neuron / TILE) as usize) {
            entry.0 += position as u64;
        }
    }
    sums.sort_unstable();
    let sorted = sums.iter().flat_map(|&(_, tile)| tile * TILE..(tile + 1) * TILE);
    sorted.chain(tiles as u32 * TILE..order.len() as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::{fault_of, whole_tiles};

    #[test]
    fn whole_tiles_puts_the_tile_with_the_earliest_neurons_first() {
        let reversed: Vec<u32> = (0..96).rev().collect();
        let order = whole_tiles(&reversed);
        assert_eq!(order[..3], [64, 65, 66]);
        assert_eq!(order[32], 32);
        assert_eq!(order[64], 0);
        assert_eq!(fault_of(&order, 96, true), None);
        assert!(fault_of(&reversed, 96, true).is_some_and(|fault| fault.contains("tile 0")));
    }

    #[test]
    fn an_order_that_is_no_permutation_is_refused_with_the_position() {
        assert_eq!(fault_of(&[0, 2, 1], 3, false), None);
        assert!(fault_of(&[0, 2, 2], 3, false).is_some_and(|fault| fault.contains("twice, again at position 2")));
        assert!(fault_of(&[0, 3, 1], 3, false).is_some_and(|fault| fault.contains("neuron 3 at position 1")));
        assert!(fault_of(&[0, 1], 3, false).is_some());
    }
}
