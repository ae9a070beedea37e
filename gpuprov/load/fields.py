"""How award lists name the fields of an award, in Korean and English.

No official layout of the list is published: these are names in common use. A name that lists could use for two things
(a bare 수량, quantity of what?) is left out on purpose; a mapping file can add it. Names that say in which accelerator
applications count are the programme's (``appliedNames``).
"""

from __future__ import annotations

from gpuprov.core.award import Award

NAMES: dict[str, tuple[str, ...]] = {
    "id": ("과제번호", "과제 ID", "과제코드", "award id", "award number", "award no", "project id", "project number"),
    "organization": (
        *("기관명", "기관", "주관기관", "주관기관명", "수행기관", "수행기관명", "신청기관", "신청기관명"),
        *("선정기관", "선정기관명", "기업명", "업체명", "organisation", "institution", "awardee", "organization name"),
    ),
    "organization_type": ("기관유형", "기관구분", "기관분류", "organisation type", "institution type", "org type"),
    "contact": ("담당자", "담당자명", "담당자 성명", "contact name", "contact person"),
    "email": ("이메일", "이메일 주소", "담당자 이메일", "전자우편", "e-mail", "email address", "contact email"),
    "track": ("유형", "지원유형", "신청유형", "트랙"),
    "applied_h100": (
        *("신청수량", "신청 GPU 수량"),
        *("applied", "applied quantity", "requested"),
    ),
    "provider": (
        *("공급사", "공급기업", "공급자", "공급업체", "클라우드사", "CSP"),
        *("supplier", "cloud provider", "vendor"),
    ),
    "model": (
        *("배정GPU", "배정 GPU 모델", "배정모델", "할당GPU", "GPU 모델", "GPU 종류", "GPU 기종", "GPU"),
        *("GPU type", "allocated GPU", "allocated model"),
    ),
    "quantity": (
        *("배정수량", "배정 GPU 수량", "할당수량", "할당 GPU 수량"),
        *("qty", "allocated", "allocated quantity", "allocated GPUs"),
    ),
    "first_day": (
        *("시작일", "시작일자", "이용시작일", "사용시작일", "지원시작일", "협약시작일", "개시일"),
        *("start", "start date", "start day"),
    ),
    "last_day": (
        *("종료일", "종료일자", "이용종료일", "사용종료일", "지원종료일", "협약종료일", "만료일"),
        *("end", "end date", "end day"),
    ),
    "status": ("상태", "선정상태", "선정결과", "진행상태", "state", "award status"),
    "accept_by": (
        *("수락기한", "수락마감", "수락마감일", "회신기한", "응답기한"),
        *("acceptance deadline", "accept until", "accept before"),
    ),
    "call": ("차수", "모집차수", "공모차수", "round"),
}
"""Names of each field's column; the first is how messages call it. The field's own name is accepted too."""

REQUIRED = tuple(name for name, field in Award.model_fields.items() if field.is_required())
"""Fields that every list needs a column for."""

NUMBERS = frozenset({"applied_h100", "quantity"})
"""Fields that count GPUs: for these a header's unit in brackets is part of the meaning."""


def label(field: str) -> str:
    """Return how messages call a field: the usual Korean header and the field's name."""
    return f"{NAMES[field][0]} ({field})"
