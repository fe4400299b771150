//! `SchemaService`: the models being served.

use tollgate_proto::Reason;
use tollgate_proto::v1;
use tollgate_proto::v1::schema_service_server::SchemaService;
use tonic::{Request, Response, Status};

use super::encode;
use super::status;
use crate::fault::Fault;
use crate::model::Served;

/// Returns the models being served.
pub struct Schema {
    models: Served,
}

impl Schema {
    /// The service over these models.
    pub fn new(models: Served) -> Schema {
        Schema { models }
    }
}

#[tonic::async_trait]
impl SchemaService for Schema {
    async fn list_models(
        &self,
        _: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        let models = self
            .models
            .all()
            .iter()
            .map(|model| encode::model(model))
            .collect();
        Ok(Response::new(v1::ListModelsResponse { models }))
    }

    async fn get_model(
        &self,
        request: Request<v1::GetModelRequest>,
    ) -> Result<Response<v1::GetModelResponse>, Status> {
        let name = request.into_inner().name;
        if name.is_empty() {
            let fault = Fault::new("name", "is required");
            return Err(status::invalid(Reason::InvalidField, fault));
        }
        let Some(model) = self.models.get(&name) else {
            return Err(status::unknown_model(&name, &self.models.all().near(&name)));
        };
        Ok(Response::new(v1::GetModelResponse {
            model: Some(encode::model(&model)),
        }))
    }
}
