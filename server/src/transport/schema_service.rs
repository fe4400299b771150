//! `SchemaService`: the models being served.

use std::sync::Arc;

use tollgate_proto::Reason;
use tollgate_proto::v1;
use tollgate_proto::v1::schema_service_server::SchemaService;
use tonic::{Request, Response, Status};

use super::authorized::{authorize, caller, unknown_model};
use super::encode;
use super::status;
use crate::fault::Fault;
use crate::model::Model;
use crate::operation::Gateway;
use crate::policy::{Action, Resource};

/// Returns the models being served.
pub struct Schema {
    gateway: Arc<Gateway>,
}

impl Schema {
    /// The service over the models that are served.
    pub fn new(gateway: Arc<Gateway>) -> Schema {
        Schema { gateway }
    }
}

#[tonic::async_trait]
impl SchemaService for Schema {
    async fn list_models(
        &self,
        request: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        let caller = caller(&request);
        authorize(&self.gateway, caller, Action::ListModels, &Resource::Server)?;
        // those that the caller may see one by one
        let is_visible = |model: &&Arc<Model>| {
            let seen = self
                .gateway
                .permits(caller, Action::GetModel, &Resource::Model(model));
            seen.is_ok()
        };
        let models = self.gateway.models.all();
        let models = models.iter().filter(is_visible);
        Ok(Response::new(v1::ListModelsResponse {
            models: models.map(|model| encode::model(model)).collect(),
        }))
    }

    async fn get_model(
        &self,
        request: Request<v1::GetModelRequest>,
    ) -> Result<Response<v1::GetModelResponse>, Status> {
        let name = &request.get_ref().name;
        if name.is_empty() {
            let fault = Fault::new("name", "is required");
            return Err(status::invalid(Reason::InvalidField, fault));
        }
        let model = self.gateway.models.get(name);
        let resource = match &model {
            Some(model) => Resource::Model(model),
            None => Resource::UnknownModel(name),
        };
        authorize(&self.gateway, caller(&request), Action::GetModel, &resource)?;
        let Some(model) = model else {
            return Err(unknown_model(&self.gateway, name));
        };
        Ok(Response::new(v1::GetModelResponse {
            model: Some(encode::model(&model)),
        }))
    }
}
