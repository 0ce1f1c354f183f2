//! Which model a plan is for, and which one a file holds.

use model::ModelConfig;

use crate::GenerateError;

/// What tells models apart, as far as sizes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelShape {
    /// Layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Neurons of an expert, or of the FFN where there is one.
    pub neurons: usize,
    /// Experts of a layer; 1 in a dense model.
    pub experts: usize,
    /// Experts that a token uses.
    pub used: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
}

impl ModelShape {
    pub(crate) fn of(config: &ModelConfig) -> Self {
        Self {
            layers: config.layers,
            hidden: config.hidden,
            neurons: config.neurons,
            experts: config.experts,
            used: config.experts_used,
            vocabulary: config.vocabulary,
        }
    }
}

/// What a plan's segments, clusters and threads were chosen for: what decides how large an FFN is and how it is cut. The vocabulary is no
/// part of it. No size in a plan follows from it, and files differ in it for one model: many pad the embedding to a round number of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedModel {
    /// As the plan names it.
    pub name: String,
    /// Layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Neurons of an expert, or of the FFN where there is one.
    pub neurons: usize,
    /// Experts of a layer; 1 in a dense model.
    pub experts: usize,
    /// Experts that a token uses; `None`: not known, and not compared.
    pub used: Option<usize>,
}

impl PlannedModel {
    /// An error that names both where the model of a file is of another shape.
    pub(crate) fn agrees(&self, found: ModelShape) -> Result<(), GenerateError> {
        let planned = ModelShape {
            layers: self.layers,
            hidden: self.hidden,
            neurons: self.neurons,
            experts: self.experts,
            used: self.used.unwrap_or(found.used),
            vocabulary: found.vocabulary,
        };
        if planned == found {
            return Ok(());
        }
        let name = &self.name;
        let (planned, found) = (self.said(&planned), self.said(&found));
        Err(GenerateError::Input {
            name: "plan",
            what: format!(
                "was made for {name} ({planned}), and the file holds another model ({found}); give that model's file, or a plan made for this one"
            ),
        })
    }

    /// A shape in words, without what this one does not know.
    fn said(&self, of: &ModelShape) -> String {
        let ModelShape {
            layers,
            hidden,
            neurons,
            experts,
            used,
            ..
        } = of;
        let used = self.used.map_or(String::new(), |_| format!(", used {used}"));
        format!("{layers} layers, hidden {hidden}, {neurons} neurons, experts {experts}{used}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: ModelShape = ModelShape {
        layers: 4,
        hidden: 64,
        neurons: 96,
        experts: 8,
        used: 2,
        vocabulary: 272,
    };

    fn planned() -> PlannedModel {
        PlannedModel {
            name: "mine".to_owned(),
            layers: FOUND.layers,
            hidden: FOUND.hidden,
            neurons: FOUND.neurons,
            experts: FOUND.experts,
            used: Some(FOUND.used),
        }
    }

    #[test]
    fn each_number_that_differs_is_refused_with_both_shapes_named() {
        assert!(planned().agrees(FOUND).is_ok());
        type Change = fn(&mut PlannedModel);
        let changes: [Change; 5] = [
            |plan| plan.layers += 1,
            |plan| plan.hidden += 1,
            |plan| plan.neurons += 1,
            |plan| plan.experts += 1,
            |plan| plan.used = Some(3),
        ];
        for change in changes {
            let mut plan = planned();
            change(&mut plan);
            let text = plan.agrees(FOUND).unwrap_err().to_string();
            assert!(text.contains("was made for mine ("), "{text}");
            assert!(
                text.contains("(4 layers, hidden 64, 96 neurons, experts 8, used 2); give"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_padded_vocabulary_is_no_other_model() {
        let padded = ModelShape {
            vocabulary: FOUND.vocabulary.next_multiple_of(64),
            ..FOUND
        };
        assert_ne!(padded, FOUND);
        assert!(planned().agrees(padded).is_ok());
    }

    #[test]
    fn what_a_plan_does_not_know_is_not_compared() {
        let plan = PlannedModel { used: None, ..planned() };
        assert!(plan.agrees(FOUND).is_ok());
        let other = PlannedModel { layers: 5, ..plan };
        let text = other.agrees(FOUND).unwrap_err().to_string();
        assert!(text.contains("(5 layers, hidden 64, 96 neurons, experts 8), and"), "{text}");
    }
}
