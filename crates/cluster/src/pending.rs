//! Stand-ins for lower crates' parts that are about to land.
pub mod decode {
    use kubarium_objects::{Value, status::Status};
    pub fn decode(_: &kubarium_objects::Resource, raw: &Value) -> Result<Value, Status> {
        Ok(raw.clone())
    }
}
pub mod defaults {
    pub fn apply(_: &kubarium_objects::Resource, _: &mut kubarium_objects::Value) {}
}
pub mod validation {
    use kubarium_objects::{FieldError, Resource, Value};
    pub fn create(_: &Resource, _: &Value) -> Vec<FieldError> {
        Vec::new()
    }
    pub fn update(_: &Resource, _: &Value, _: &Value) -> Vec<FieldError> {
        Vec::new()
    }
}
pub mod patch {
    use kubarium_objects::{Resource, Value, status::Status};
    pub fn json(old: &Value, _: &Value) -> Result<Value, Status> {
        Ok(old.clone())
    }
    pub fn merge(old: &Value, patch: &Value) -> Value {
        let mut new = old.clone();
        for (k, v) in patch.entries() {
            if v.is_null() {
                new.remove(&[k]);
            } else if v.as_object().is_some() {
                new[&**k] = merge(&old[&**k], v);
            } else {
                new[&**k] = v.clone();
            }
        }
        new
    }
    pub fn strategic(_: &Resource, old: &Value, patch: &Value) -> Result<Value, Status> {
        Ok(merge(old, patch))
    }
}
